"""Look at schedules: what comes next, what ran, and what needs a person. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.times.occasions import Occasion, Schedule, schedules_of
from rackwright.lifecycle.schedule.due import Known, following, missed
from rackwright.lifecycle.schedule.missed import LIST, said_of
from rackwright.lifecycle.session.lease import control_store
from rackwright.state.formats import utc_now
from rackwright.state.schedule import FirstSeen, Try, first_seen, pause_of, tries_of
from rackwright.state.store import ControlStore
from rackwright.values.windows import HORIZON


@dataclass(frozen=True)
class Looked:
    """One schedule as it is now."""

    schedule: Schedule
    next: Occasion | None
    """The next one that will start, or that is open and hasn't; None: none within a year."""
    paused_until: datetime | None
    running: Try | None
    last: tuple[Try, ...]
    """The last try at each occasion, the oldest first."""
    missed: tuple[Occasion, ...]
    """What nobody started in time, after the last run that did."""

    @property
    def failed(self) -> Try | None:
        """The last run, if it failed."""
        tried = [one for one in self.last if one.state in ("done", "failed")]
        return tried[-1] if tried and tried[-1].state == "failed" else None


def named(fleet: Fleet, name: str | None) -> tuple[Schedule, ...]:
    """Return the schedule of this name, or all. Raise UsageError if the fleet file has none."""
    schedules = schedules_of(fleet)
    found = tuple(one for one in schedules if name in (None, one.name))
    if found:
        return found
    keys = {"patch": "patch.window", "drill": "drill.at", None: "patch.window or drill.at"}
    raise UsageError(
        f"the fleet file has no schedule{f' for {name}' if name else ''}",
        where=str(fleet.path),
        should=f"needs unattended.on and {keys.get(name)}",
    )


def looked(fleet: Fleet) -> tuple[Looked, ...]:
    """Ask the control hosts about each schedule. Raise RackwrightError if they can't be asked."""
    schedules, now = schedules_of(fleet), utc_now()
    if not schedules:
        return ()
    with control_store(fleet) as (store, _):
        return tuple(look_at(store, one, now) for one in schedules)


def look_at(store: ControlStore, schedule: Schedule, now: datetime) -> Looked:
    """Return what the control hosts know of the schedule."""
    seen = first_seen(store, schedule.name)
    if seen is None or seen.said != schedule.said:
        # It isn't applied yet.
        seen = FirstSeen(schedule=schedule.name, said=schedule.said, since=now)
    known = Known(seen, tries_of(store, schedule.name), pause_of(store, schedule.name)).credible(now)
    last = known.latest
    worked = max((one.start for one in last if one.state in ("running", "done", "failed")), default=None)
    return Looked(
        schedule,
        following(schedule, known, now, HORIZON),
        known.pause.until if known.pause and known.paused(now) else None,
        next((one for one in reversed(last) if one.state == "running"), None),
        last,
        tuple(one for one in missed(schedule, known, now) if worked is None or one.start > worked),
    )


def warnings_of(found: Looked) -> Iterator[str]:
    """Yield what needs a person, each with the next command."""
    if found.missed:
        yield f"{found.schedule.command} was missed: {said_of(found.schedule, found.missed)}; next: {LIST}"
    if found.failed:
        yield f"the last scheduled {found.schedule.command} failed: {found.failed.summary}; next: {LIST}"
