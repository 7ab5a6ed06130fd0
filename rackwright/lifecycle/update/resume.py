"""Go on with a rollout that somebody began and didn't end, or undo it: from any machine with the same fleet file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from rackwright.errors import HostError, LeasedError, ProofError, RackwrightError, UsageError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.lifecycle.canary.golden_answers import golden_set_of
from rackwright.lifecycle.rollout.change import Paused
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.lease import control_store
from rackwright.lifecycle.session.operator import operator_of
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import leased
from rackwright.lifecycle.update.procedure import files_digest
from rackwright.lifecycle.update.unfinished import Work, complete, revert_all
from rackwright.state.audit import Act, write_audit
from rackwright.state.canaries import read_trial
from rackwright.state.formats import utc_now
from rackwright.state.journal import Entry, Event, open_rollout
from rackwright.state.lease import Lease
from rackwright.state.lease_session import LeaseSession, hold, owner
from rackwright.state.rollout import Rollout, read_rollout
from rackwright.stopping import stoppable


@dataclass(frozen=True)
class OpenRollout:
    """A rollout that is open, as its control host has it."""

    rollout: Rollout
    entries: tuple[Entry, ...]
    """Its lines of the journal."""
    lease: Lease | None
    """Live: somebody is at it now."""


def opened(fleet: Fleet) -> OpenRollout | None:
    """Return the rollout that is open, None if there is none. Changes nothing."""
    with control_store(fleet) as (store, _):
        entries = store.entries()
        begun = open_rollout(entries)
        if begun is None:
            return None
        lines = tuple(entry for entry in entries if entry.rollout == begun.rollout)
        return OpenRollout(read_rollout(store, begun.rollout), lines, store.show())


def required(fleet: Fleet) -> OpenRollout:
    """Return the rollout that is open. Raise UsageError if there is none."""
    return opened(fleet) or _refuse_none()


def open_entry(fleet: Fleet) -> Entry:
    """Return the entry that opened it, also where nothing else is kept of it. Raise UsageError if none is open."""
    with control_store(fleet) as (store, _):
        return open_rollout(store.entries()) or _refuse_none()


def _refuse_none() -> NoReturn:
    raise UsageError("no rollout is open", should="there is nothing to resume or to abort")


def resume(session: Session, rollout: Rollout, console: Console) -> tuple[Replica, ...]:
    """Afterwards it has ended as if nobody had interrupted it; return the replicas that run by the new lock.

    The site's lock is the one that it leads to. Raise as `carry_on` does, and LeasedError if the fleet file isn't
    the one that it was begun with, FleetError if a canary's golden set can't be read here.
    """
    _refuse_other_files(session.fleet, rollout)
    for model in sorted(read_trial(session.store, rollout.id).untried(rollout.canaries)):
        golden_set_of(session.fleet, model)
    with _taken(session, rollout, "resume", console) as lease_session, stoppable(console.heard) as stopping:
        return complete(Work(session, lease_session, rollout, console, stopping))


def abort(session: Session, rollout: Rollout, console: Console, reason: str) -> None:
    """Afterwards every replica runs what it ran before it, and it is closed. Raise as `take_back` does."""
    with _taken(session, rollout, "abort", console) as lease_session, stoppable(console.heard) as stopping:
        try:
            revert_all(Work(session, lease_session, rollout, console, stopping), reason)
        except (HostError, ProofError, Paused) as error:
            raise _still_open(error, rollout) from None


def leave(fleet: Fleet, begun: Entry, reason: str) -> None:
    """Afterwards it is closed, every replica runs what it runs now, and the control host's audit log says so.

    It needs the journal alone: neither what else is kept of the rollout nor any other host. Raise LeasedError while
    somebody is at it, or if it was ended meanwhile.
    """
    operator = operator_of(fleet)
    with (
        control_store(fleet) as (store, shell),
        hold(store, owner(operator.who, operator.machine, f"rollout abort: {begun.detail}")) as lease_session,
    ):
        _refuse_ended(lease_session, begun.rollout)
        lease_session.write(Event.CLOSED, begun.rollout, detail=f"left as it was: {reason}")
        act = Act(
            time=utc_now(),
            operator=operator.who,
            run=lease_session.run,
            command=lease_session.lease.owner.why,
            what=f"left the rollout {begun.rollout} as it was; reason: {reason}",
            outcome="done",
        )
        write_audit(shell, act)


@contextmanager
def _taken(session: Session, rollout: Rollout, verb: str, console: Console) -> Iterator[LeaseSession]:
    with leased(session, f"rollout {verb}: {rollout.what}", console, rollout=True) as lease_session:
        _refuse_ended(lease_session, rollout.id)
        yield lease_session


def _refuse_ended(lease_session: LeaseSession, rollout: str) -> None:
    still = open_rollout(lease_session.store.entries())
    if still is None or still.rollout != rollout:
        raise LeasedError(f"the rollout {rollout} was ended meanwhile", next="rackwright rollout status")


def _still_open(error: RackwrightError, rollout: Rollout) -> RackwrightError:
    """An engine that was dead before never answers: whoever knows that can leave it as it is."""
    first = error.problems[0]
    became = f"{first.should}; " if first.should else ""
    mend = f"{first.next}; " if first.next else ""
    return error.but(
        should=f"{became}the rollout {rollout.id} stays open", next=f"{mend}or rackwright rollout abort --leave"
    )


def _refuse_other_files(fleet: Fleet, rollout: Rollout) -> None:
    if files_digest(fleet) == rollout.files:
        return
    commit = f"git checkout {rollout.commit[:12]}" if rollout.commit else "the fleet file of whoever began it"
    raise LeasedError(
        f"this fleet file isn't the one that {rollout.who} began it with",
        where=str(fleet.path),
        should="what is half done must be ended as it was begun",
        next=f"{commit}; or rackwright rollout abort",
    )
