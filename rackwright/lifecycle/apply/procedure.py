"""Bring the hosts to what fleet file and lock say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.apply.dropped_names import DAYS
from rackwright.lifecycle.apply.plan import Plan, plan
from rackwright.lifecycle.apply.stages import KIT, SAVE, SURVEY, Applied, Options, begin
from rackwright.lifecycle.control.ended import renew_ended
from rackwright.lifecycle.session.agreements import Need, Setting, agree, away, command
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.control_host import refuse_moved
from rackwright.lifecycle.session.kit import due_kits
from rackwright.lifecycle.session.remember import compared, note_changes, refuse_stale_checkout, remember
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import leased
from rackwright.state.lease_session import LeaseSession
from rackwright.stopping import stoppable

# Functions import what only an apply with changes needs: most applies find nothing to change.


def apply(session: Session, options: Options, console: Console, show: Callable[[Plan], None]) -> Applied:
    """Bring the hosts to what fleet file and lock say; return what was done and what failed.

    `show` gets the plan, and the operator is asked before anything changes. After that, Ctrl-C stops where nothing is
    left half done. Raise LeasedError if another operator has the lease, or has taken it by the end.
    """
    from rackwright.remote import Background

    renew_ended(session, console, not_stale=options.not_stale, unattended=options.unattended)
    with leased(session, command("apply", options.unattended), console) as lease_session:
        begin(session, console, SURVEY)
        comparing = Background(lambda: compared(session))
        planned = plan(session, only=options.only)
        refuse_moved(session.fleet, planned.surveyed.control)
        found = comparing.result()
        known = refuse_stale_checkout(found, console, not_stale=options.not_stale, unattended=options.unattended)
        if not planned.empty:
            _refuse_missing(session, options, planned)
        # The only thing left may be a reboot for what an earlier apply installed.
        waiting = _waiting(session) if options.reboot else {}
        if planned.empty and not waiting:
            applied = Applied(planned.run)
        else:
            _agree(session, options, console, planned, waiting, show)
            applied = _carry_out(session, lease_session, options, console, planned)
        _remember(session, lease_session, options, applied, planned, known=known)
        if applied.failure or applied.run.interrupted:
            return applied
        recorded = None if known or options.only else lease_session.run
        return _kept(session, _saved(session, applied, planned, console), planned, recorded, console)


def _refuse_missing(session: Session, options: Options, planned: Plan) -> None:
    """Raise RackwrightError if the apply would stop halfway because a file is missing on this machine."""
    from rackwright.lifecycle.apply.missing_builds import refuse_missing_builds
    from rackwright.lifecycle.apply.missing_ca_key import refuse_missing_ca_key

    refuse_missing_builds(session, options.only)
    refuse_missing_ca_key(session, planned.run)


def _waiting(session: Session) -> Mapping[str, str]:
    """Return the hosts whose driver or kernel needs a reboot, and why."""
    from rackwright.lifecycle.reboot.pending import pending

    return pending(session, session.hosts, kernels=True).waiting


def _agree(
    session: Session,
    options: Options,
    console: Console,
    planned: Plan,
    waiting: Mapping[str, str],
    show: Callable[[Plan], None],
) -> None:
    """Show the operator what changes, and ask. Raise RackwrightError if they don't agree."""
    from rackwright.lifecycle.apply.reboot import refuse_swap, swapped

    refuse_swap(session, planned, reboot=options.reboot)
    later = swapped(session, planned) if options.reboot else {}
    for name, why in {**waiting, **later}.items():
        console.say(f"{name}: will reboot: {why}")
    show(planned)
    agree_to_close(planned, options, console)
    agree_to_outages(planned, options, console)
    agree_to_drop_names(planned, options, console)
    _require_outages(session, options, console, planned, (*waiting, *later))
    console.confirm("Apply this?")


def _require_outages(
    session: Session, options: Options, console: Console, planned: Plan, reboots: Iterable[str]
) -> None:
    """Raise RackwrightError if an unattended run would have to stop before an engine that restarts."""
    if options.unattended:
        from rackwright.lifecycle.rollout.outage_needs import require_outages

        restarts = (restart.replica for restart in planned.restarts)
        require_outages(session, options.unattended, console, replicas=restarts, hosts=dict.fromkeys(reboots))


def _carry_out(
    session: Session, lease_session: LeaseSession, options: Options, console: Console, planned: Plan
) -> Applied:
    from rackwright.lifecycle.apply.carry_out import carry_out
    from rackwright.lifecycle.apply.work import Work

    with stoppable(console.heard) as stopping:
        return carry_out(Work(session, lease_session, options, console, stopping), planned)


def _remember(
    session: Session, lease_session: LeaseSession, options: Options, applied: Applied, planned: Plan, *, known: bool
) -> None:
    """Record the lock on the hosts, but only if all of it was applied."""
    if applied.failure:
        return
    if applied.run.interrupted or options.only:
        note_changes(
            session,
            lease_session,
            applied.run,
            session.hosts,
            "; then interrupted" if applied.run.interrupted else "",
        )
    else:
        remember(session, lease_session, applied.run, planned.surveyed, known=known)


def _saved(session: Session, applied: Applied, planned: Plan, console: Console) -> Applied:
    """Make the first snapshot on every host that has not failed and has none yet."""
    going = [place for place in planned.first_snapshots if place[0] not in applied.run.failed_hosts]
    if not going:
        return applied
    from rackwright.lifecycle.backup.make import make_first

    begin(session, console, SAVE)
    return replace(applied, unsaved=make_first(session, going, console))


def _kept(session: Session, applied: Applied, planned: Plan, recorded: str | None, console: Console) -> Applied:
    """Save the kit where it lacks something. `recorded`: this run's id, if it was recorded as the last apply."""
    try:
        due = due_kits(session, planned.surveyed, recorded)
    except HostError as error:
        return replace(applied, unsaved=_both(applied.unsaved, error))
    if not due:
        return applied
    from rackwright.lifecycle.backup.kit import refreshed

    begin(session, console, KIT)
    return replace(applied, unsaved=_both(applied.unsaved, refreshed(session.fleet, session.remote, due, console)))


def _both(first: RackwrightError | None, second: RackwrightError | None) -> RackwrightError | None:
    return first.with_problems(second.problems) if first and second else first or second


def agree_to_close(planned: Plan, options: Options, console: Console) -> None:
    """Ask about ports that something listens on: --yes alone doesn't agree to close them."""
    if options.close_ports or not planned.closing:
        return
    listed = [f"{name}: {socket}" for name, sockets in planned.closing.items() for socket in sockets]
    refusal = RackwrightError(
        "these ports would close",
        should="keep them with firewall.allow in the fleet file, or agree to close them",
        next="rackwright apply --close-ports",
        listed=listed,
    )
    question = "Ports that something listens on would close. Close them?"
    agree(question, refusal, [Need(Setting.CLOSE_PORTS)], console, options.unattended)


def agree_to_outages(planned: Plan, options: Options, console: Console) -> None:
    """Ask about models that no replica serves while they move: --yes alone doesn't agree to that."""
    outages = planned.retirement.outages
    if options.allow_outage or not outages:
        return
    stopped = planned.retirement.stopped_first
    listed = [
        f"{one.replica.address} stops first: {one.stops_first}" for one in stopped if one.replica.model in outages
    ]
    models = " and ".join(outages)
    refusal = RackwrightError(
        f"no replica of {models} would serve until another one answers",
        should="leave one where it is until the others serve, or allow planned downtime",
        next="rackwright apply --allow-outage",
        listed=listed,
    )
    question = f"No replica of {models} serves until another one answers. Allow that?"
    needs = [away(options.unattended.fleet, model) for model in outages] if options.unattended else []
    agree(question, refusal, needs, console, options.unattended)


def agree_to_drop_names(planned: Plan, options: Options, console: Console) -> None:
    """Ask about names that clients used lately and that would get 404: --yes alone doesn't agree to that."""
    used = [str(one) for one in planned.dropped if one.in_use]
    if options.drop_names or not used:
        return
    refusal = RackwrightError(
        f"clients used these names in the last {DAYS} days, and would get 404",
        should="keep them in `names` until the clients have changed, or agree to drop them",
        next="rackwright apply --drop-names",
        listed=used,
    )
    question = "Names that clients used lately would no longer be served. Drop them?"
    agree(question, refusal, [Need(Setting.DROP_NAMES)], console, options.unattended)
