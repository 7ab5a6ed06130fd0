"""A rollout over hosts: opened, carried out host by host, and closed when none is left to do.

All decisions use what hosts and gateways report now, not the journal, with one exception: a host that is in another
boot has rebooted for the rollout only if the journal has its act. If not, it crashed, for example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.fleet.lock import Lock
from rackwright.gateway import ServerState
from rackwright.lifecycle.reboot.boot_identity import boot_now
from rackwright.lifecycle.reboot.host_change import Reboots
from rackwright.lifecycle.rollout.change import Change, Paused, Phase
from rackwright.lifecycle.rollout.engine_changes import roll
from rackwright.lifecycle.rollout.opened import RESUME
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_leased_act
from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_answer
from rackwright.roles.replica.state import COMMAND as REPLICAS_COMMAND
from rackwright.roles.replica.state import parse as parse_replicas
from rackwright.run import Run
from rackwright.state.formats import utc_now
from rackwright.state.journal import Event
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import HostPart, HostRollout, write_rollout
from rackwright.stopping import Stopping

_LOOKING = "looking at the engines"


class HostChanges(Protocol):
    """What a procedure does to a host."""

    def changed(self, part: HostPart, *, rebooted: bool) -> Change:
        """Return the change of a host, which may have been started before. `rebooted`: it has had its reboot."""

    def left(self, part: HostPart) -> Change:
        """Return the change of a host that stays as it is: its engines only have to answer, and it is undrained."""

    def done(self, part: HostPart, *, rebooted: bool) -> bool:
        """Return whether the host's change is complete, apart from what is drained."""

    def settled(self, part: HostPart) -> bool:
        """Return whether the host was proven after everything that was done to it, on its way back, too."""

    def closing(self) -> None:
        """Make the lock say what the hosts have, before the rollout is closed, however it ended. Safe to repeat."""


@dataclass(frozen=True)
class Work:
    """An open rollout over hosts that this command works on."""

    session: Session
    lease_session: LeaseSession
    rollout: HostRollout
    console: Console
    stopping: Stopping
    ran: Callable[[Run], None] = lambda _: None
    """Gets what was done to a host's driver."""
    changed: Callable[[str], None] = lambda _: None
    """Gets each host that was changed and proven."""

    changes_of: ChangesOf = field(default_factory=lambda: reboots_of)
    unattended: Agreements | None = None
    """None: a person is at work."""

    @cached_property
    def changes(self) -> HostChanges:
        return self.changes_of(self)


ChangesOf = Callable[[Work], HostChanges]


def reboots_of(work: Work) -> HostChanges:
    """Return the changes of `apply --reboot`."""
    return Reboots(work.session, work.lease_session, work.console, work.stopping, work.ran)


@dataclass(frozen=True)
class HostProgress:
    """The current state of one host of an open rollout."""

    part: HostPart
    rebooted: bool
    """It is in another boot than when the rollout was opened, and the rollout has started to change it."""
    unknown: str | None
    """Why its state isn't known; None: it is."""
    drained: bool = False
    """A run has drained its replicas or the gateway on it, and it isn't another host's change that they wait for."""
    done: bool = False
    """Its change is complete, and nothing of it is drained."""
    settled: bool = True
    """It was proven after everything that was done to it."""


def open_reboots(
    session: Session,
    lease_session: LeaseSession,
    what: str,
    waiting: Mapping[str, str],
    outages: tuple[str, ...],
    unattended: Agreements | None = None,
) -> HostRollout:
    """Open a rollout that reboots these hosts, each with the reason. Raise HostError if one can't be asked.

    Hosts that don't serve come first, because they cost nothing; then those that serve, and the gateways and control
    hosts, during whose change nothing else may change.
    """
    parts = list(host_parts(session, waiting).values())
    last = {*session.fleet.gateways, *session.fleet.control}
    parts.sort(key=lambda one: (one.name in last, len(one.idle) < len(one.replicas)))
    rollout = rollout_over(lease_session, "reboot", what, parts, outages, unattended=unattended)
    open_hosts(lease_session, rollout)
    return rollout


def rollout_over(
    lease_session: LeaseSession,
    procedure: Literal["reboot", "patch"],
    what: str,
    parts: Sequence[HostPart],
    outages: tuple[str, ...],
    locks: tuple[Lock, Lock] | None = None,
    *,
    unattended: Agreements | None = None,
) -> HostRollout:
    """Return a rollout over these hosts, which change in this order. Nothing is written yet.

    `locks`: that of now and that to which it leads; None: the lock stays. `unattended`: None if a person opens it.
    """
    return HostRollout(
        procedure=procedure,
        id=lease_session.run,
        what=what,
        who=lease_session.lease.owner.who,
        when=utc_now(),
        hosts=tuple(parts),
        outages=outages,
        unattended=unattended.settings if unattended else None,
        before=locks[0] if locks else None,
        after=locks[1] if locks else None,
    )


def open_hosts(lease_session: LeaseSession, rollout: HostRollout) -> None:
    """Open the rollout: from here on, nothing else can change the fleet until it is closed."""
    write_rollout(lease_session, rollout)
    lease_session.write(Event.OPENED, rollout.id, detail=rollout.what)


def host_parts(session: Session, reasons: Mapping[str, str]) -> dict[str, HostPart]:
    """Given why each host changes, return the parts of the hosts as they are now.

    Raise HostError if a host can't be asked, or a gateway where an engine runs.
    """
    found = session.remote.each(reasons, lambda name: (_running(session, name), boot_now(session, name)))
    # A new fleet may not have a gateway yet.
    states = session.gateways.servers() if any(runs for runs, _ in found.values()) else {}
    return {name: _part(session, name, reasons[name], *found[name], states) for name in found}


def _part(
    session: Session, name: str, why: str, runs: set[str], boot: str, states: Mapping[str, ServerState]
) -> HostPart:
    replicas = [one.address for one in session.fleet.parts_on(name) if one.name in runs and one.address in states]
    idle = tuple(one for one in replicas if not states[one].takes_requests and not states[one].drained_manually)
    return HostPart(name=name, why=why, boot=boot, replicas=tuple(replicas), idle=idle)


def _running(session: Session, name: str) -> set[str]:
    """Return the names of the replicas whose engines run on the host."""
    if not session.hosts[name].replicas:
        return set()
    asked = session.remote.connection(name).run(REPLICAS_COMMAND).check(_LOOKING)
    states = read_answer(name, _LOOKING, parse_replicas, asked.stdout)
    return {state.replica for state in states if state.active == "active"}


def complete(work: Work) -> tuple[str, ...]:
    """Bring every host through its change and close the rollout; return the hosts that were changed.

    Raise the failure of the first host that can't be changed or proven, with how the rollout ended: it stays open as
    long as a host is drained, its state isn't known, or it serves without a proof; and is closed otherwise.
    """
    done: list[str] = []
    try:
        _forward(work, done)
    except LeasedError:
        raise
    except RackwrightError as error:
        raise _ended(work, error, done) from None
    _close(work, "done")
    return tuple(done)


def _forward(work: Work, done: list[str]) -> None:
    progress = look(work)
    _refuse_unknown(progress)
    _roll(work, [_changed(work, one) for one in progress if not one.done], done)


def _changed(work: Work, one: HostProgress) -> Change:
    unfinished = one.drained or not one.settled
    return replace(work.changes.changed(one.part, rebooted=one.rebooted), unfinished=unfinished)


def serve_as_they_run(work: Work, reason: str) -> None:
    """Let every host that a run has drained or left unproven serve as it runs now, and close the rollout.

    No host is rebooted. Raise RackwrightError naming the hosts whose engines don't answer, or that can't be asked. It
    then stays open.
    """
    progress = look(work)
    left = [one for one in progress if (one.drained or not one.settled) and not one.unknown]
    _roll(work, [work.changes.left(one.part) for one in left], [])
    _refuse_unknown(progress)
    _close(work, f"aborted: {reason}")


def look(work: Work) -> tuple[HostProgress, ...]:
    """Ask all hosts of the rollout, and the gateways; return how far each host is."""
    parts = {part.name: part for part in work.rollout.hosts}
    drained, acted = _drained(work.session, work.rollout.hosts), _acted(work)
    found = work.session.remote.each(parts, lambda name: _progress(work, parts[name], acted=name in acted)).values()
    # A replica that spans hosts stays drained until the change of each is complete.
    held = {address for one in found if one.part.name in acted and not one.done for address in one.part.replicas}
    return tuple(_with_drained(one, drained - held if one.done else drained) for one in found)


def _progress(work: Work, part: HostPart, *, acted: bool) -> HostProgress:
    """Return how far the host's change is, whatever is drained."""
    try:
        boot = boot_now(work.session, part.name)
    except HostError as error:
        return HostProgress(part, rebooted=False, unknown=error.problems[0].what)
    if acted:
        rebooted = boot != part.boot
        done = work.changes.done(part, rebooted=rebooted)
        return HostProgress(part, rebooted=rebooted, unknown=None, done=done, settled=work.changes.settled(part))
    return HostProgress(part.model_copy(update={"boot": boot}), rebooted=False, unknown=None)


def _with_drained(one: HostProgress, drained: set[str]) -> HostProgress:
    left = bool(drained & {one.part.name, *one.part.replicas})
    return replace(one, drained=left, done=one.done and not left)


def _acted(work: Work) -> set[str]:
    """Return the hosts that the rollout has started to change."""
    entries = work.lease_session.store.entries()
    return {one.subject for one in entries if one.rollout == work.rollout.id and one.phase == Phase.ACT}


def _drained(session: Session, parts: Sequence[HostPart]) -> set[str]:
    """Return what a run has drained: addresses of replicas, and gateways."""
    found: set[str] = set()
    if any(part.replicas for part in parts):
        found |= {
            one.address for one in session.gateways.servers().values() if one.drained and not one.drained_manually
        }
    if any(part.name in session.fleet.gateways for part in parts):
        found |= {name for name, record in session.leaving.records().items() if not record.manual}
    return found


def _refuse_unknown(progress: Sequence[HostProgress]) -> None:
    if unknown := [f"{one.part.name}: {one.unknown}" for one in progress if one.unknown]:
        raise Paused("the state of these hosts isn't known", next="rackwright rollout status", listed=unknown)


def _roll(work: Work, changes: Sequence[Change], done: list[str]) -> None:
    def changed(change: Change) -> None:
        done.append(change.subject)
        work.changed(change.subject)
        hosts = (change.subject, *work.session.fleet.gateways)
        note_leased_act(work.session, work.lease_session, hosts, f"{work.rollout.what}: {change.subject}")

    roll(
        work.session,
        work.lease_session,
        changes,
        work.console,
        changed,
        stopping=work.stopping,
        rollout=work.rollout.id,
        outages=work.rollout.outages,
    )


def _ended(work: Work, error: RackwrightError, done: Sequence[str]) -> RackwrightError:
    """Close the rollout if all hosts are settled; return the error with how the rollout ended."""
    first, changed = error.problems[0], f"done: {', '.join(done) or 'none'}"
    became = f"{first.should}; " if first.should else ""
    if _settled(work) and _closed(work, f"ended, {changed}: {first.what}"):
        return error.but(should=f"{became}{changed}")
    then = f"{first.next}; then {RESUME}" if first.next else RESUME
    return error.but(should=f"{became}the rollout {work.rollout.id} stays open", next=then)


def _settled(work: Work) -> bool:
    """Return whether no host is drained, unknown, or serves without a proof."""
    try:
        return not any(one.drained or one.unknown or not one.settled for one in look(work))
    except HostError:
        return False


def _closed(work: Work, how: str) -> bool:
    """Close the rollout; return False if the control host, or a host that must know the lock, can't be reached."""
    try:
        _close(work, how)
    except LeasedError:
        raise
    except RackwrightError:
        return False
    return True


def _close(work: Work, how: str) -> None:
    work.changes.closing()
    work.lease_session.write(Event.CLOSED, work.rollout.id, detail=how)
