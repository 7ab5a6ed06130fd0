"""An open rollout from one lock to another: its state, what is left to do, and how to complete or revert it.

All decisions use what hosts and gateways report now, not the journal, with one exception: once the new lock starts to
replace the old one, the rollout can't be reverted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rackwright.errors import LeasedError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.canary.choose import Canaries
from rackwright.lifecycle.canary.trial import Tried, with_trial
from rackwright.lifecycle.rollout.change import Change, Paused, Undecided
from rackwright.lifecycle.rollout.engine_changes import Engines, roll
from rackwright.lifecycle.rollout.opened import RESUME
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_leased_act
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey, survey
from rackwright.lifecycle.update.next_lock import remove_next
from rackwright.lifecycle.update.promote import promote
from rackwright.state.journal import PROMOTE, Event, promoting
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import Rollout
from rackwright.stopping import Stopping

_STAYS = "ran the new version before the rollout and stays drained; rackwright apply restores what the lock says"


@dataclass(frozen=True)
class Work:
    """An open rollout that this command works on. The session's lock is the one that it leads to."""

    session: Session
    lease_session: LeaseSession
    rollout: Rollout
    console: Console
    stopping: Stopping
    unattended: Agreements | None = None
    """None: a person is at work."""

    @property
    def engines(self) -> Engines:
        return Engines(self.session, self.lease_session, self.console, self.rollout.units)

    @property
    def canaries(self) -> Canaries:
        return Canaries(self.session, self.lease_session, self.console, self.rollout, self.stopping)


@dataclass(frozen=True)
class ReplicaProgress:
    """The current state of one replica of an open rollout."""

    replica: Replica
    changed: bool
    """The rollout has written its new unit, on at least one of its hosts."""
    whole: bool
    """Its engine runs on the new unit, on all its hosts."""
    drained: bool
    """By a run, not by an operator."""
    serves: bool
    """Its probe reports that it answers."""
    unknown: str | None
    """Why its state isn't known; None: it is."""


def survey_replicas(work: Work) -> tuple[ReplicaProgress, ...]:
    """Ask all hosts; return every replica of the rollout's models, in the fleet's order."""
    surveyed = survey(work.session)
    drained = {
        address for host in surveyed.hosts.values() for address, record in host.drains.items() if not record.manual
    }
    replicas = [one for one in work.session.fleet.replicas if one.model in work.rollout.models]
    return tuple(_progress(work, surveyed, one, drained=one.address in drained) for one in replicas)


def _progress(work: Work, surveyed: Survey, replica: Replica, *, drained: bool) -> ReplicaProgress:
    # Only the gateways know whether a run left it drained.
    rollout, asked = work.rollout, (*replica.hosts, *work.session.fleet.gateways)
    lost = [f"{host}: {surveyed.unreachable[host]}" for host in asked if host in surveyed.unreachable]
    seen = [
        (surveyed.hosts[host].replicas.get(replica.name), rollout.units.get(f"{host}/{replica.name}"))
        for host in replica.hosts
        if host in surveyed.hosts
    ]
    return ReplicaProgress(
        replica,
        changed=replica.address in rollout.taken
        and any(state and unit and state.was_given(unit) for state, unit in seen),
        whole=all(state and unit and state.runs(unit) for state, unit in seen),
        drained=drained,
        serves=_serves(surveyed, replica),
        unknown="; ".join(lost) or None,
    )


def _serves(surveyed: Survey, replica: Replica) -> bool:
    host = surveyed.hosts.get(replica.host)
    state = host.replicas.get(replica.name) if host else None
    return state is not None and state.serves


def complete(work: Work) -> tuple[Replica, ...]:
    """Bring every replica to the new lock and make it NAME.lock; return the replicas that the rollout changed.

    If a replica fails, it is reverted, and so are those that were changed before it; the old lock stays, and the
    rollout is closed. Raise the failure with how the rollout ended. Raise Paused if the rollout waits for an operator
    to resume or abort it; if nothing was changed, it is closed.
    """
    try:
        done = _forward(work)
    except Paused as error:
        raise _paused(work, error) from None
    except LeasedError:
        raise
    except RackwrightError as error:
        raise _failed(work, error) from None
    work.lease_session.write(
        Event.INTENT, work.rollout.id, phase=PROMOTE, detail="every replica runs by the new lock"
    )
    promote(work.session, work.lease_session, work.console, work.unattended)
    _close(work, "done")
    work.console.say(f"{work.rollout.what}: done")
    return tuple(one for one in done if one.address in work.rollout.due)


def _forward(work: Work) -> tuple[Replica, ...]:
    progress = survey_replicas(work)
    _refuse_unknown(progress)
    due = _first_the_idle(one for one in progress if one.drained or not (one.whole and one.serves))
    done: list[Replica] = [one.replica for one in progress if one not in due]
    work.console.say(f"{len(due)} of {len(progress)} replicas to change")
    tried = work.canaries.of([one.replica for one in due], [one.address for one in done])
    _roll(work, [_onward(work, one, tried.get(one.replica.address)) for one in due], done)
    return tuple(done)


def _onward(work: Work, one: ReplicaProgress, tried: Tried | None) -> Change:
    make = work.engines.undrained if one.whole else work.engines.renewed
    change = make(one.replica, work.rollout.what)
    if one.replica.address not in work.rollout.taken:
        change = replace(change, revert=None)
    return with_trial(change, tried) if tried else change


def revert_all(work: Work, reason: str) -> tuple[Replica, ...]:
    """Bring every replica back to what it ran before the rollout, and close the rollout.

    Return those that stay drained: they ran the new version before the rollout, and no canary of it has passed. Raise
    RackwrightError naming the replicas that aren't reverted yet, or if the rollout can't be reverted any more. It
    then stays open.
    """
    _refuse_promoting(work)
    _report_others(work)
    progress = survey_replicas(work)
    known = [one for one in progress if one.unknown is None]
    left = _untried(work, known)
    due = _first_the_idle(one for one in reversed(known) if one not in left and (one.changed or one.drained))
    _roll(work, [_backward(work, one, reason) for one in due], [])
    _refuse_unknown(progress)
    _close(work, f"aborted: {reason}")
    for one in left:
        work.console.say(f"{one.replica.address}: {_STAYS}")
    work.console.say(f"{work.rollout.what}: aborted")
    return tuple(one.replica for one in left)


def _untried(work: Work, progress: Sequence[ReplicaProgress]) -> list[ReplicaProgress]:
    untried = work.canaries.untried()
    return [one for one in progress if one.drained and one.whole and not one.changed and one.replica.model in untried]


def _report_others(work: Work) -> None:
    """Report replicas that the fleet file doesn't have, such as those of a host that was removed from it."""
    known = {f"{host}/{one.name}" for one in work.session.fleet.replicas for host in one.hosts}
    if others := sorted(set(work.rollout.units) - known):
        work.console.say(f"not in this fleet file, so left unchanged: {', '.join(others)}")


def _backward(work: Work, one: ReplicaProgress, reason: str) -> Change:
    make = work.engines.reverted if one.changed else work.engines.answering
    change = make(one.replica, f"revert: {reason}")
    idle = one.replica.address in work.rollout.idle and not one.serves
    return replace(change, idle=change.addresses) if idle else change


def _refuse_promoting(work: Work) -> None:
    if promoting(work.lease_session.store.entries(), work.rollout.id):
        raise RackwrightError(
            "every replica was proven, and the new lock is replacing the old one: this rollout can't be reverted",
            should="resume it, then roll back",
            next="rackwright rollout resume, then rackwright model rollback",
        )


def _first_the_idle(progress: Iterator[ReplicaProgress]) -> list[ReplicaProgress]:
    """Put replicas that don't serve first: changing them costs nothing."""
    return sorted(progress, key=lambda one: one.serves and not one.drained)


def _roll(work: Work, changes: Sequence[Change], done: list[Replica]) -> None:
    def changed(change: Change) -> None:
        (replica,) = change.replicas
        done.append(replica)
        hosts = (*replica.hosts, *work.session.fleet.gateways)
        note_leased_act(work.session, work.lease_session, hosts, f"{work.rollout.what}: {replica.address}")

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


def _refuse_unknown(progress: Sequence[ReplicaProgress]) -> None:
    unknown = [f"{one.replica.address}: {one.unknown}" for one in progress if one.unknown]
    if unknown:
        raise Paused(
            "it isn't known what these replicas run, or whether they are drained",
            next="rackwright rollout status",
            listed=unknown,
        )


def _paused(work: Work, error: Paused) -> RackwrightError:
    """Return the error with what the operator must do. If no replica was changed, close the rollout."""
    progress = survey_replicas(work)
    if any(one.changed or one.drained or one.unknown for one in progress):
        left = f"the rollout {work.rollout.id} stays open: {_text(error)}"
        first = error.problems[0].next if isinstance(error, Undecided) else None
        return error.but(should=left, next=f"{first}; then {RESUME}" if first else RESUME)
    _close(work, f"aborted, nothing was changed: {error.problems[0].what}")
    return error


def _text(error: RackwrightError) -> str:
    return error.problems[0].should or "what was changed serves"


def _failed(work: Work, error: RackwrightError) -> RackwrightError:
    became = f"{error.problems[0].should}; " if error.problems[0].should else ""
    try:
        left = revert_all(work, error.problems[0].what)
    except LeasedError:
        raise
    except RackwrightError as second:
        why = second.problems[0].what
        became = f"{became}not all replicas were reverted: {why}; the rollout {work.rollout.id} stays open"
        return error.but(should=became, next=RESUME)
    drained = "".join(f"; {one.address} {_STAYS}" for one in left)
    return error.but(should=f"every replica runs the previous version, and the lock is unchanged{drained}")


def _close(work: Work, how: str) -> None:
    remove_next(work.session.fleet)
    work.lease_session.write(Event.CLOSED, work.rollout.id, detail=how)
