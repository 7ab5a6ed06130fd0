"""What an apply leaves behind: the applied fleet on the control hosts, a record and an audit line on each host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.fleet.lock import lock_digest
from rackwright.lifecycle.key import refuse_unknown_keys, told_keys
from rackwright.lifecycle.session.console import Talk
from rackwright.lifecycle.session.session import Site
from rackwright.lifecycle.session.survey import Survey
from rackwright.run import Run, new_run_id
from rackwright.state.applied import applied_from, read_applied, stale_checkout, write_applied
from rackwright.state.audit import Act, write_audit
from rackwright.state.checkout import checkout
from rackwright.state.control import write_control
from rackwright.state.formats import utc_now
from rackwright.state.last_local_apply import last_applied_from, note_applied_from
from rackwright.state.lease_session import Held
from rackwright.state.record import Record, write_record


@dataclass(frozen=True)
class Compared:
    """The operator's files beside those that were applied last."""

    same: bool
    difference: str | None = None
    """To be agreed to, where nobody can tell which is newer."""
    who: str = ""
    """Who applied last."""


def compared(site: Site) -> Compared:
    """Return how our files stand to what the control hosts keep of the last apply.

    Raise LeasedError if they would undo a colleague's work, HostError if the control host can't be asked.
    """
    from rackwright.remote import Begun

    asking = Begun(lambda: told_keys(site.remote, site.fleet.gateways))
    applied = read_applied(site.remote.connection(site.fleet.control[0]))
    local = checkout(site.fleet)
    refuse_unknown_keys(site.fleet, asking.result())
    difference = stale_checkout(applied, local)
    if applied is None:
        return Compared(same=False)
    same = applied.files == local.files
    # What was applied last went out from here, or was seen here: what is here now was edited since.
    ours = applied.about.run == last_applied_from(site.fleet.path)
    if same and not ours:
        note_applied_from(site.fleet.path, applied.about.run)
    return Compared(same, None if ours else difference, applied.about.who)


def refuse_stale_checkout(found: Compared, talk: Talk, *, not_stale: bool) -> bool:
    """Return whether these files are what was applied last.

    Raise LeasedError unless the operator agrees to files that could be older: --yes doesn't, `not_stale` does.
    """
    if found.difference and not not_stale:
        talk.say(found.difference)
        refusal = LeasedError(
            f"these files differ from what {found.who} applied last, and git can't tell which are newer",
            should="older ones would undo that work",
            next="if they are newer: the same command with --not-stale",
        )
        talk.confirm(
            "These files differ from what was applied last, and git can't tell which are newer. Apply them?",
            refusal=refusal,
        )
    return found.same


def remember(site: Site, held: Held, run: Run, surveyed: Survey, *, known: bool) -> None:
    """Afterwards each host that went well records what it runs, and the control hosts keep the applied fleet.

    Nothing is written where nothing changed: `known` says that the control hosts have these files already. A host
    that failed keeps its old record, and has what was changed in its audit log.
    """
    note_changes(site, held, run, run.failed_hosts)
    digest = lock_digest(site.lock)
    record = Record(lock=digest, versions=_versions(site), when=utc_now(), who=held.lease.owner.who, run=held.run)
    done = [name for name in site.models if name not in run.failed_hosts]
    control = surveyed.control

    def write(name: str) -> None:
        shell = site.remote.connection(name)
        if digest not in surveyed.hosts[name].record or run.totals(name).changed:
            write_record(shell, record)
            write_audit(shell, _act(held, run, name))
        if control and control != surveyed.hosts[name].control:
            write_control(shell, control)

    site.remote.each([name for name in done if name in surveyed.hosts], write)
    if not known:
        _keep_applied(site, held, record.when, [name for name in site.fleet.control if name not in run.failed_hosts])


def _keep_applied(site: Site, held: Held, when: datetime, hosts: list[str]) -> None:
    """Control hosts have the applied fleet, whether the work was limited to others or not.

    The one that has the lease can be reached; another that can't learns of it by the next apply.
    """
    applied = applied_from(checkout(site.fleet), who=held.lease.owner.who, run=held.run, when=when)

    def keep(name: str) -> None:
        try:
            write_applied(site.remote.connection(name), applied)
        except HostError:
            if name in site.models or name == site.fleet.control[0]:
                raise

    site.remote.each(hosts, keep)
    # The next comparison is with what the first control host keeps: where it failed, that is an earlier run.
    if site.fleet.control[0] in hosts:
        note_applied_from(site.fleet.path, held.run)


def note_changes(site: Site, held: Held, run: Run, hosts: Iterable[str], then: str = "") -> None:
    """Each of these hosts that the run changed has in its audit log what, and how it went on (`then`)."""
    acts = {name: _act(held, run, name, then) for name in hosts if run.totals(name).changed}
    site.remote.each(acts, lambda name: _try_to_write(site, name, acts[name]))


@contextmanager
def audited(site: Site, held: Held, hosts: tuple[str, ...], what: str) -> Iterator[None]:
    """Each of these hosts has what the block did in its audit log afterwards, also that it failed, and why."""
    try:
        yield
    except (RackwrightError, KeyboardInterrupt) as error:
        note_leased_act(site, held, hosts, what, _end(error))
        raise
    note_leased_act(site, held, hosts, what)


@contextmanager
def failure_audited(site: Site, held: Held, run: Run) -> Iterator[None]:
    """If the block fails, every host that the run changed has in its audit log what was changed, and the failure."""
    try:
        yield
    except (RackwrightError, KeyboardInterrupt) as error:
        note_changes(site, held, run, site.models, f"; then {_end(error)}")
        raise


def _end(error: RackwrightError | KeyboardInterrupt) -> str:
    return f"failed: {error.problems[0].what}" if isinstance(error, RackwrightError) else "interrupted"


def note_leased_act(site: Site, held: Held, hosts: Iterable[str], what: str, outcome: str = "done") -> None:
    """Each of these hosts that can be reached has the act in its audit log."""
    owner = held.lease.owner
    act = Act(time=utc_now(), operator=owner.who, run=held.run, command=owner.why, what=what, outcome=outcome)

    site.remote.each(hosts, lambda name: _try_to_write(site, name, act))


def note_act(site: Site, host: str, *, run: str, command: str, what: str, outcome: str) -> None:
    """The host has in its audit log what was done there without a lease, if it can be reached."""
    act = Act(time=utc_now(), operator=site.operator.who, run=run, command=command, what=what, outcome=outcome)
    _try_to_write(site, host, act)


def note_lent_key(site: Site, command: str) -> None:
    """Each gateway that can be reached has in its audit log that the command lends itself an API key there."""
    run, what = new_run_id(), "an API key in the gateway's memory, for this run"
    site.remote.each(
        site.fleet.gateways,
        lambda name: note_act(site, name, run=run, command=command, what=what, outcome="lent"),
    )


def _try_to_write(site: Site, name: str, act: Act) -> None:
    # A host out of reach must not hide how the work itself went.
    with suppress(HostError):
        write_audit(site.remote.connection(name), act)


def _act(held: Held, run: Run, name: str, then: str = "") -> Act:
    totals = run.totals(name)
    changed = sorted({f"{step.role}: {step.operation}" for step in run.of(name) if step.outcome == "changed"})
    return Act(
        time=utc_now(),
        operator=held.lease.owner.who,
        run=held.run,
        command=held.lease.owner.why,
        what="; ".join(changed) or "recorded the lock",
        outcome=f"{totals.changed} changed, {totals.failed} failed{then}",
    )


def _versions(site: Site) -> dict[str, str]:
    models = {name: locked.digest for name, locked in site.lock.models.items()}
    return models | {locked.kind: locked.version for locked in site.lock.runtimes.values()}
