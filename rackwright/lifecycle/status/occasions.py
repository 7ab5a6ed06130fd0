"""What runs on a schedule, and what of it needs a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.times.occasions import schedules_of
from rackwright.lifecycle.schedule.look import Looked, look_at
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.status.parts import ScheduleStatus
from rackwright.state.due_again import due_rechecks
from rackwright.state.formats import stamp


def ask_schedules(session: Session, now: datetime, notes: list[str]) -> tuple[Looked, ...]:
    """Ask the control hosts. What they can't answer is noted; that they don't answer at all is noted elsewhere."""
    try:
        return tuple(look_at(session.store, one, now) for one in schedules_of(session.fleet))
    except HostError:
        return ()
    except RackwrightError as error:
        notes.append(f"schedules: {error.problems[0].what}")
        return ()


@dataclass(frozen=True)
class Rechecks:
    """Which providers should be asked again after a migration's end."""

    warnings: tuple[str, ...] = ()
    """One for each, with the next command."""
    notes: tuple[str, ...] = ()
    """Why nobody knows."""


def ask_rechecks(session: Session, now: datetime) -> Rechecks:
    """Ask the control hosts. That they don't answer at all is noted elsewhere."""
    try:
        found = due_rechecks(session.store)
    except HostError:
        return Rechecks()
    except RackwrightError as error:
        return Rechecks(notes=(f"migrations: {error.problems[0].what}",))
    return Rechecks(
        tuple(
            f"the provider should be asked again since {stamp(one.due)}; next: rackwright migrate recheck "
            f"{one.migration}"
            for one in found
            if one.due and one.due <= now
        )
    )


def schedule_statuses(found: tuple[Looked, ...]) -> Iterator[ScheduleStatus]:
    for one in found:
        yield ScheduleStatus(
            name=one.schedule.name,
            when=one.schedule.said,
            next=stamp(one.next.start) if one.next else None,
            paused_until=stamp(one.paused_until) if one.paused_until else None,
            running_on=one.running.process.machine if one.running else None,
        )
