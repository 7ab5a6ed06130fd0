"""The open rollout, whichever procedure opened it: look at it, take it over, or leave everything as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from rackwright.errors import LeasedError, RackwrightError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.lease import control_store
from rackwright.lifecycle.session.operator import operator_of
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import leased
from rackwright.state.audit import Act, write_audit
from rackwright.state.formats import utc_now
from rackwright.state.journal import Entry, Event, open_rollout
from rackwright.state.lease import Lease
from rackwright.state.lease_session import LeaseSession, hold, owner
from rackwright.state.rollout import AnyRollout, read_rollout

RESUME = "rackwright rollout resume, or rackwright rollout abort"


@dataclass(frozen=True)
class OpenRollout:
    """An open rollout, as recorded on its control host."""

    rollout: AnyRollout
    entries: tuple[Entry, ...]
    """Its entries in the journal."""
    lease: Lease | None
    """If it is live, a command is working on the rollout."""


def opened(fleet: Fleet) -> OpenRollout | None:
    """Return the open rollout, None if there is none. This changes nothing."""
    with control_store(fleet) as (store, _):
        entries = store.entries()
        opening = open_rollout(entries)
        if opening is None:
            return None
        lines = tuple(entry for entry in entries if entry.rollout == opening.rollout)
        return OpenRollout(read_rollout(store, opening.rollout), lines, store.show())


def required(fleet: Fleet) -> OpenRollout:
    """Return the open rollout. Raise UsageError if there is none."""
    return opened(fleet) or _refuse_none()


def open_entry(fleet: Fleet) -> Entry:
    """Return the entry that opened it, even if no other record of it is left. Raise UsageError if none is open."""
    with control_store(fleet) as (store, _):
        return open_rollout(store.entries()) or _refuse_none()


def _refuse_none() -> NoReturn:
    raise UsageError("no rollout is open", should="there is nothing to resume or abort")


def leave(fleet: Fleet, opening: Entry, reason: str) -> None:
    """Close the rollout, leave every replica as it is, and write that to the control host's audit log.

    This needs only the journal: no other record of the rollout, and no other host. Raise LeasedError if another
    command is working on it, or if it was closed in the meantime.
    """
    operator = operator_of(fleet)
    with (
        control_store(fleet) as (store, shell),
        hold(store, owner(operator.who, operator.machine, f"rollout abort: {opening.detail}")) as lease_session,
    ):
        _refuse_ended(lease_session, opening.rollout)
        lease_session.write(Event.CLOSED, opening.rollout, detail=f"unchanged: {reason}")
        act = Act(
            time=utc_now(),
            operator=operator.who,
            run=lease_session.run,
            command=lease_session.lease.owner.why,
            what=f"left the rollout {opening.rollout} as it was; reason: {reason}",
            outcome="done",
        )
        write_audit(shell, act)


@contextmanager
def taken_over(session: Session, rollout: AnyRollout, verb: str, console: Console) -> Iterator[LeaseSession]:
    """Keep the fleet leased while this command works on the rollout. Raise LeasedError if it isn't open any more."""
    with leased(session, f"rollout {verb}: {rollout.what}", console, rollout=True) as lease_session:
        _refuse_ended(lease_session, rollout.id)
        yield lease_session


def _refuse_ended(lease_session: LeaseSession, rollout: str) -> None:
    still = open_rollout(lease_session.store.entries())
    if still is None or still.rollout != rollout:
        raise LeasedError(f"the rollout {rollout} was closed in the meantime", next="rackwright rollout status")


def still_open(error: RackwrightError, rollout: AnyRollout) -> RackwrightError:
    """Return the error with the way out, --leave: an engine that was down before may never be proven."""
    first = error.problems[0]
    became = f"{first.should}; " if first.should else ""
    before = f"{first.next}; " if first.next else ""
    return error.but(
        should=f"{became}the rollout {rollout.id} stays open", next=f"{before}or rackwright rollout abort --leave"
    )
