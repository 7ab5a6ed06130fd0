"""What an apply writes to hosts: the applied fleet on control hosts, a record and an audit line on each host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.fleet.keys_file import read_keys_file
from rackwright.fleet.lock import lock_digest
from rackwright.lifecycle.key import hosts_with_keys, pushed_keys, refuse_unknown_keys
from rackwright.lifecycle.session.agreements import Agreements, Need, Setting, agree
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.last_applied import last_applied
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey
from rackwright.run import Run, new_run_id
from rackwright.state.api_keys.control_keys import keep_applied_keys
from rackwright.state.applied import applied_from, stale_checkout, write_applied
from rackwright.state.applied_ca import refuse_other_ca
from rackwright.state.audit import Act, write_audit
from rackwright.state.checkout import checkout
from rackwright.state.control import write_control
from rackwright.state.formats import utc_now
from rackwright.state.last_local_apply import last_applied_from, note_applied_from
from rackwright.state.lease_session import LeaseSession
from rackwright.state.record import Record, write_record
from rackwright.state.replaced_locks import following


@dataclass(frozen=True)
class Compared:
    """The operator's files compared with those that were applied last."""

    same: bool
    difference: str | None = None
    """What the operator must agree to if it is unknown which files are newer."""
    who: str = ""
    """Who applied last."""


def compared(session: Session) -> Compared:
    """Compare the local files with those of the last apply, which the control hosts keep.

    Raise LeasedError if they would undo a colleague's work, HostError if no control host can be asked.
    """
    from rackwright.remote import Background

    asking = Background(lambda: pushed_keys(session.remote, hosts_with_keys(session.fleet)))
    found = compared_files(session)
    refuse_unknown_keys(session.fleet, asking.result())
    return found


def compared_files(session: Session) -> Compared:
    """Compare as `compared` does, but for the API keys that were pushed to gateways since."""
    applied = last_applied(session.remote, session.fleet)
    local = checkout(session.fleet)
    refuse_other_ca(applied, local)
    if applied is None:
        return Compared(same=False)
    same = applied.files == local.files
    # The last apply ran on this machine, or its files were seen here: any difference is a later local edit.
    ours = applied.about.run == last_applied_from(session.fleet.path)
    difference = stale_checkout(applied, local, ours=ours)
    if same and not ours:
        note_applied_from(session.fleet.path, applied.about.run)
    return Compared(same, None if ours else difference, applied.about.who)


def refuse_stale_checkout(
    found: Compared, console: Console, *, not_stale: bool, unattended: Agreements | None = None
) -> bool:
    """Return whether these files are the ones that were applied last.

    If they could be older, raise LeasedError unless the operator agrees. `not_stale` agrees, and so does the fleet
    file's `unattended.allow.not_stale` in an unattended run; --yes doesn't.
    """
    if found.difference and not not_stale:
        for line in found.difference.split("\n"):
            console.say(line)
        refusal = LeasedError(
            f"these files differ from what {found.who} applied last, and git can't tell which are newer",
            should="older ones would undo that work",
            next="if they are newer: the same command with --not-stale",
        )
        question = "These files differ from what was applied last, and git can't tell which are newer. Apply them?"
        agree(question, refusal, [Need(Setting.NOT_STALE)], console, unattended)
    return found.same


def remember(
    session: Session,
    lease_session: LeaseSession,
    run: Run,
    surveyed: Survey,
    *,
    known: bool,
    promotes: bool = False,
) -> None:
    """Write the record to each host that succeeded, and the applied fleet to the control hosts.

    Nothing is written if nothing changed; `known`: the control hosts have these files already; `promotes`: the run
    itself has written the lock. A host that failed keeps its old record, and its audit log lists what was changed.
    """
    note_changes(session, lease_session, run, run.failed_hosts)
    digest = lock_digest(session.lock)
    record = Record(
        fleet=session.fleet.file.fleet,
        lock=digest,
        versions=_versions(session),
        when=utc_now(),
        who=lease_session.lease.owner.who,
        run=lease_session.run,
    )
    done = [name for name in session.hosts if name not in run.failed_hosts]
    control = surveyed.control

    def write(name: str) -> None:
        shell = session.remote.connection(name)
        if surveyed.hosts[name].applied_lock != digest or run.totals(name).changed:
            write_record(shell, record)
            write_audit(shell, _act(lease_session, run, name))
        if control and control != surveyed.hosts[name].control:
            write_control(shell, control)

    session.remote.each([name for name in done if name in surveyed.hosts], write)
    if not known:
        _keep_applied(
            session,
            lease_session,
            record.when,
            [name for name in session.fleet.control if name not in run.failed_hosts],
            promotes=promotes,
        )
        _see_schedules(session, record.when)


def _see_schedules(session: Session, when: datetime) -> None:
    """Let the control hosts know which schedules there are, so that what nobody starts is missed from now on."""
    from rackwright.fleet.times.occasions import schedules_of
    from rackwright.state.schedule import see

    # The first run of a schedule does the same; it must not fail an apply.
    with suppress(RackwrightError):
        for one in schedules_of(session.fleet):
            see(session.store, one.name, one.said, when)


def _keep_applied(
    session: Session, lease_session: LeaseSession, when: datetime, hosts: list[str], *, promotes: bool = False
) -> None:
    """Write the applied fleet to the control hosts, even if the work was limited to other hosts.

    One that is unreachable gets the files with the next apply; more than half must have them.
    """
    who = lease_session.lease.owner.who
    # Read before the checkout: a key command in between must not make the control hosts drop what the checkout lacks.
    keys = read_keys_file(session.fleet.sibling("keys.yml"))
    now = applied_from(checkout(session.fleet), who=who, run=lease_session.run, when=when)
    applied = following(now, last_applied(session.remote, session.fleet), promotes=promotes)

    def keep(name: str) -> HostError | None:
        try:
            shell = session.remote.connection(name)
            write_applied(shell, applied)
            keep_applied_keys(shell, keys, who=who)
        except HostError as error:
            if name in session.hosts:
                raise
            return error
        return None

    missing = [error for error in session.remote.each(hosts, keep).values() if error]
    # The next comparison uses the files that more than half of them have. If that isn't true of these, it uses an
    # earlier run's.
    if (len(hosts) - len(missing)) * 2 > len(session.fleet.control_hosts):
        note_applied_from(session.fleet.path, lease_session.run)
    elif missing:
        raise missing[0]


def note_changes(
    session: Session, lease_session: LeaseSession, run: Run, hosts: Iterable[str], then: str = ""
) -> None:
    """Write what the run changed to the audit log of each of these hosts; `then` says how the run continued."""
    acts = {name: _act(lease_session, run, name, then) for name in hosts if run.totals(name).changed}
    session.remote.each(acts, lambda name: _try_to_write(session, name, acts[name]))


@contextmanager
def audited(session: Session, lease_session: LeaseSession, hosts: tuple[str, ...], what: str) -> Iterator[None]:
    """Write the act to these hosts' audit logs when the block ends, or that it failed, and why."""
    try:
        yield
    except (RackwrightError, KeyboardInterrupt) as error:
        note_leased_act(session, lease_session, hosts, what, _end(error))
        raise
    note_leased_act(session, lease_session, hosts, what)


@contextmanager
def failure_audited(session: Session, lease_session: LeaseSession, run: Run) -> Iterator[None]:
    """If the block fails, write the run's changes and the failure to the audit log of every changed host."""
    try:
        yield
    except (RackwrightError, KeyboardInterrupt) as error:
        note_changes(session, lease_session, run, session.hosts, f"; then {_end(error)}")
        raise


def _end(error: RackwrightError | KeyboardInterrupt) -> str:
    if not isinstance(error, RackwrightError):
        return "interrupted"
    first = error.problems[0]
    return f"failed: {'; '.join((first.what, *first.listed))}"


def note_leased_act(
    session: Session, lease_session: LeaseSession, hosts: Iterable[str], what: str, outcome: str = "done"
) -> None:
    """Write the act to the audit log of each of these hosts that can be reached."""
    owner = lease_session.lease.owner
    act = Act(
        time=utc_now(), operator=owner.who, run=lease_session.run, command=owner.why, what=what, outcome=outcome
    )

    session.remote.each(hosts, lambda name: _try_to_write(session, name, act))


def note_act(session: Session, host: str, *, run: str, command: str, what: str, outcome: str) -> None:
    """Write an act that needs no lease to the host's audit log, if the host can be reached."""
    act = Act(time=utc_now(), operator=session.operator.who, run=run, command=command, what=what, outcome=outcome)
    _try_to_write(session, host, act)


def note_lent_key(session: Session, command: str, gateways: Iterable[str] | None = None) -> None:
    """Write to the audit log of each reachable gateway, or of these, that the command lends an API key to it."""
    run, what = new_run_id(), "an API key in the gateway's memory, for this run"
    session.remote.each(
        session.fleet.gateways if gateways is None else gateways,
        lambda name: note_act(session, name, run=run, command=command, what=what, outcome="lent"),
    )


def _try_to_write(session: Session, name: str, act: Act) -> None:
    # An unreachable host must not hide the result of the work itself.
    with suppress(HostError):
        write_audit(session.remote.connection(name), act)


def _act(lease_session: LeaseSession, run: Run, name: str, then: str = "") -> Act:
    totals = run.totals(name)
    changed = sorted({f"{step.role}: {step.operation}" for step in run.of(name) if step.outcome == "changed"})
    return Act(
        time=utc_now(),
        operator=lease_session.lease.owner.who,
        run=lease_session.run,
        command=lease_session.lease.owner.why,
        what="; ".join(changed) or "recorded the lock",
        outcome=f"{totals.changed} changed, {totals.failed} failed{then}",
    )


def _versions(session: Session) -> dict[str, str]:
    models = {name: locked.digest for name, locked in session.lock.models.items()}
    return models | {locked.kind: locked.version for locked in session.lock.runtimes.values()}
