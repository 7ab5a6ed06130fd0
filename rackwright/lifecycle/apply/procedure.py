"""Bring the hosts to what fleet file and lock say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from rackwright.errors import RackwrightError
from rackwright.lifecycle.apply.plan import Plan, plan
from rackwright.lifecycle.apply.stages import LOOK, SAVE, Applied, Options, begin
from rackwright.lifecycle.session.console import Talk
from rackwright.lifecycle.session.control_host import refuse_moved
from rackwright.lifecycle.session.remember import compared, note_changes, refuse_stale_checkout, remember
from rackwright.lifecycle.session.session import Site
from rackwright.lifecycle.session.under_lease import leased
from rackwright.state.lease_session import Held
from rackwright.stopping import stoppable

# What only an apply needs that changes something is imported there: most applies find everything as it should be.


def apply(site: Site, options: Options, talk: Talk, show: Callable[[Plan], None]) -> Applied:
    """Afterwards the hosts are what the fleet file and the lock say, or what comes back says what is missing.

    `show` gets the plan, and the operator is asked before anything changes. From there on Ctrl-C stops where nothing
    is left half done. Raise LeasedError while another operator is at work, or holds the lease in the end.
    """
    from rackwright.remote import Begun

    with leased(site, "apply", talk) as held:
        begin(site, talk, LOOK)
        comparing = Begun(lambda: compared(site))
        planned = plan(site, only=options.only)
        refuse_moved(site.fleet, planned.surveyed.control)
        known = refuse_stale_checkout(comparing.result(), talk, not_stale=options.not_stale)
        # What an earlier apply installed may be all that waits.
        waiting = _waiting(site) if options.reboot else {}
        if planned.empty and not waiting:
            applied = Applied(planned.run)
        else:
            _agree(site, options, talk, planned, waiting, show)
            applied = _carry_out(site, held, options, talk, planned)
        _remember(site, held, options, applied, planned, known=known)
        return _saved(site, applied, planned, talk)


def _waiting(site: Site) -> Mapping[str, str]:
    """Hosts that were asked to reboot for their driver or kernel, with why."""
    from rackwright.lifecycle.apply.reboot import pending

    return pending(site, site.models, kernels=True).waiting


def _agree(
    site: Site,
    options: Options,
    talk: Talk,
    planned: Plan,
    waiting: Mapping[str, str],
    show: Callable[[Plan], None],
) -> None:
    """The operator has seen what changes, and agrees. Raise RackwrightError if not."""
    from rackwright.lifecycle.apply.reboot import refuse_swap

    refuse_swap(site, planned, reboot=options.reboot, allow_outage=options.allow_outage)
    for name, why in waiting.items():
        talk.say(f"{name}: will reboot: {why}")
    show(planned)
    _agree_to_close(planned, options, talk)
    talk.confirm("Apply this?")


def _carry_out(site: Site, held: Held, options: Options, talk: Talk, planned: Plan) -> Applied:
    from rackwright.lifecycle.apply.carry_out import Work, carry_out

    with stoppable(talk.heard) as stopping:
        return carry_out(Work(site, held, options, talk, stopping), planned)


def _remember(site: Site, held: Held, options: Options, applied: Applied, planned: Plan, *, known: bool) -> None:
    """Hosts record the lock only if they are what it says, and all of it was looked at."""
    if applied.failure:
        return
    if applied.run.interrupted or options.only:
        note_changes(site, held, applied.run, site.models, "; then interrupted" if applied.run.interrupted else "")
    else:
        remember(site, held, applied.run, planned.surveyed, known=known)


def _saved(site: Site, applied: Applied, planned: Plan, talk: Talk) -> Applied:
    """What was applied is in a snapshot on every host that went well and had none yet."""
    going = [place for place in planned.first_snapshots if place[0] not in applied.run.failed_hosts]
    if not going or applied.failure or applied.run.interrupted:
        return applied
    from rackwright.lifecycle.backup import make_first

    begin(site, talk, SAVE)
    return replace(applied, failure=make_first(site, going, talk))


def _agree_to_close(planned: Plan, options: Options, talk: Talk) -> None:
    """--yes doesn't agree to close a port on which something listens."""
    if options.close_ports or not planned.closing:
        return
    listed = [f"{name}: {socket}" for name, sockets in planned.closing.items() for socket in sockets]
    refusal = RackwrightError(
        "these ports would close:\n  " + "\n  ".join(listed),
        should="keep them with firewall.allow in the fleet file, or agree to close them",
        next="rackwright apply --close-ports",
    )
    talk.confirm("Ports that something listens on would close. Close them?", refusal=refusal)
