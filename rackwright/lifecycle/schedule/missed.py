"""Report once what nobody started in time, and what was lost for good."""

from __future__ import annotations

from collections.abc import Sequence

from rackwright.errors import Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.times.occasions import Occasion, Schedule
from rackwright.lifecycle.notify.notified import notified
from rackwright.lifecycle.session.console import Console

LIST = "rackwright schedule list"


def report_missed(fleet: Fleet, schedule: Schedule, occasions: Sequence[Occasion], console: Console) -> bool:
    """Tell the receivers of `notify`, in one notice; return whether one of them got it, or none wants it.

    A receiver that doesn't get it is named on the console.
    """
    with notified(fleet, schedule.command, console, agreed=True) as notices:
        notices.misses(said_of(schedule, occasions), LIST)
    return notices.reached


def report_lost(fleet: Fleet, schedule: Schedule, why: str, console: Console) -> bool:
    """Tell the receivers that a run was lost and is not resumed; return as `report_missed` does."""
    with notified(fleet, schedule.command, console, agreed=True) as notices:
        notices.fails((_lost(schedule, why),))
    return notices.reached


def _lost(schedule: Schedule, why: str) -> Problem:
    if schedule.name == "drill":
        return Problem("", why, "its scratch hosts may still have the fleet's data", "rackwright drill clean")
    return Problem("", why, "an open rollout stays open", "rackwright rollout status")


def said_of(schedule: Schedule, occasions: Sequence[Occasion]) -> str:
    """Return when the occasions were, in the fleet's time zone."""
    times = [f"{one.start.astimezone(schedule.zone):%a %Y-%m-%d %H:%M %Z}" for one in occasions]
    if len(times) == 1:
        return f"nothing started it at {times[0]}"
    return f"nothing started it at {len(times)} times, from {times[0]} to {times[-1]}"
