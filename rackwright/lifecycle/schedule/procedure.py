"""Carry out what is due. Every machine that has the tool may do so at any time; the first to claim it works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rackwright.errors import LeasedError, RackwrightError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.times.occasions import DRILL_STARTS_WITHIN, Occasion, Schedule, ScheduleName, schedules_of
from rackwright.lifecycle.notify.notified import notified
from rackwright.lifecycle.schedule.claiming import Ended, Place
from rackwright.lifecycle.schedule.clock import refuse_wrong_clock
from rackwright.lifecycle.schedule.due import Due, Here, Known, due, lost, ours
from rackwright.lifecycle.schedule.look import named
from rackwright.lifecycle.schedule.missed import LIST
from rackwright.lifecycle.schedule.settle import settled
from rackwright.lifecycle.schedule.turn import Job, Kept, Result, Turn, beating, carried_out
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.lease import control_store
from rackwright.state.formats import stamp, utc_now
from rackwright.state.schedule import FirstSeen, Try, first_seen, pause_of, see, tries_of
from rackwright.state.store import ControlStore
from rackwright.values.tool_mode import in_tool_mode
from rackwright.values.windows import open_until


def run_due(fleet: Fleet, jobs: Mapping[ScheduleName, Job], here: Here, console: Console) -> tuple[Ended, ...]:
    """Carry out what is due now, and report what was missed; return what became of it.

    Several machines may do this at the same time. Raise the first error of a job when all have had their turn, and
    RackwrightError at once if this machine's clock is wrong.
    """
    schedules = schedules_of(fleet)
    if not schedules:
        return ()
    refuse_wrong_clock(fleet)
    ended, errors = list[Ended](), list[RackwrightError]()
    with control_store(fleet) as (store, connection):
        place = Place(fleet, store, connection, here, console, jobs)
        for schedule in schedules:
            try:
                ended += _carry_out(place, schedule)
            except RackwrightError as error:
                errors.append(error)
    if errors:
        raise errors[0]
    return tuple(ended)


def run_now(fleet: Fleet, name: str, jobs: Mapping[ScheduleName, Job], here: Here, console: Console) -> Ended:
    """Carry out one schedule now, because a person asks for it; return what became of it.

    In its time this is the run that was due. Raise LeasedError if it runs elsewhere, or if these times aren't the
    applied ones, UsageError if no window is open, RackwrightError if this machine's clock is wrong, and what the job
    raises.
    """
    (schedule,) = named(fleet, name)
    refuse_wrong_clock(fleet)
    with control_store(fleet) as (store, connection):
        place = Place(fleet, store, connection, here, console, jobs)
        now = utc_now()
        known = known_of(store, schedule, _seen(store, schedule, now))
        found = due(schedule, known, now, here)
        for ended in settled(place, schedule, known, found):
            console.say(f"{ended.schedule} at {stamp(ended.start)}: {ended.state}: {ended.summary}")
        one = _wanted(found) or _additional(schedule, known, now, here)
        claimed = place.claimed(schedule, one, "running")
        if claimed is None:
            raise LeasedError("another machine was first", where=f"schedule {schedule.name}", next=LIST)
        return _worked(place, schedule, known, one, claimed)


def known_of(store: ControlStore, schedule: Schedule, seen: FirstSeen) -> Known:
    """Return what the control hosts know of the schedule. Change nothing."""
    return Known(seen, tries_of(store, schedule.name), pause_of(store, schedule.name), store.show())


def _seen(store: ControlStore, schedule: Schedule, now: datetime) -> FirstSeen:
    """Return since when the control hosts know these times. Raise LeasedError if they aren't the applied ones.

    Only the tool is sure to work on the applied fleet.
    """
    if in_tool_mode():
        return see(store, schedule.name, schedule.said, now)
    found = first_seen(store, schedule.name)
    if found is None or found.said != schedule.said:
        raise LeasedError(
            f"these times aren't the applied ones: {schedule.said}",
            where=f"schedule {schedule.name}",
            should=f"the control hosts have {found.said if found else 'none'}",
            next="rackwright apply, or the fleet file that was applied last",
        )
    return found


def _carry_out(place: Place, schedule: Schedule) -> Iterator[Ended]:
    now = utc_now()
    known = known_of(place.store, schedule, _seen(place.store, schedule, now))
    found = due(schedule, known, now, place.here)
    yield from settled(place, schedule, known, found)
    one = _wanted(found)
    if one and (claimed := place.claimed(schedule, one, "running")):
        yield _worked(place, schedule, known, one, claimed)


def _wanted(found: Sequence[Due]) -> Due | None:
    """Return what is to be carried out first. Anything else of this schedule is due again in the next run."""
    return next((one for one in found if one.what in ("start", "resume")), None)


def _additional(schedule: Schedule, known: Known, now: datetime, here: Here) -> Due:
    """Return a run that isn't due. Raise LeasedError if one runs already, UsageError if no window is open."""
    _refuse_running(known, now, here)
    return Due("start", _asked_for(schedule, now), asked=True)


def _worked(place: Place, schedule: Schedule, known: Known, one: Due, claimed: Try) -> Ended:
    """Carry out what this machine has claimed."""
    console = place.console
    if one.why:
        console.say(f"{schedule.command}: {one.why}; try {one.number}")
    place.break_left(one.breaks)
    kept = Kept(place.store, claimed)
    with notified(place.fleet, schedule.command, console, agreed=True) as notices, beating(kept):
        turn = Turn(console, notices, kept, ours(known.tries), resumed=one.what == "resume")
        result = carried_out(turn, place.jobs[schedule.name])
    return Ended(schedule.name, claimed.start, kept.one.state, _summary(result))


def _summary(result: Result) -> str:
    return "; ".join(one.line() for one in result.problems) or result.summary


def _refuse_running(known: Known, now: datetime, here: Here) -> None:
    for one in known.latest:
        if one.state == "running" and not lost(one, now, here):
            raise LeasedError(
                f"it runs on {one.process.machine} since {stamp(one.claimed)}",
                where=f"schedule {one.schedule}",
                next=LIST,
            )


def _asked_for(schedule: Schedule, now: datetime) -> Occasion:
    """Return the occasion of a run outside the schedule's times. Raise UsageError if no window is open."""
    if schedule.patch is None:
        return Occasion(now, now + DRILL_STARTS_WITHIN)
    end = open_until(now, schedule.patch.windows, schedule.patch.freezes, schedule.zone)
    if end is None:
        raise UsageError(f"no window is open: {schedule.said}", where="patch.window", next=LIST)
    return Occasion(now, end)
