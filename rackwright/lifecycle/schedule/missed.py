"""Report once what nobody started in time, and what was lost for good."""

from __future__ import annotations

from collections.abc import Sequence

from rackwright.errors import Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.times.occasions import Occasion, Schedule
from rackwright.lifecycle.notify.notified import notified
from rackwright.lifecycle.session.console import Console

LIST = "rackwright schedule list"


def report_missed(fleet: Fleet, schedule: Schedule, occasions: Sequence[Occasion], console: Console) -> None:
    """Tell the receivers of `notify`, in one notice. A receiver that doesn't get it is named on the console."""
    with notified(fleet, schedule.command, console, agreed=True) as notices:
        notices.misses(said_of(schedule, occasions), LIST)


def report_lost(fleet: Fleet, schedule: Schedule, why: str, console: Console) -> None:
    """Tell the receivers that a run was lost and is not resumed."""
    with notified(fleet, schedule.command, console, agreed=True) as notices:
        notices.fails((Problem("", why, "an open rollout stays open", "rackwright rollout status"),))


def said_of(schedule: Schedule, occasions: Sequence[Occasion]) -> str:
    """Return when the occasions were, in the fleet's time zone."""
    times = [f"{one.start.astimezone(schedule.zone):%a %Y-%m-%d %H:%M %Z}" for one in occasions]
    if len(times) == 1:
        return f"nothing started it at {times[0]}"
    return f"nothing started it at {len(times)} times, from {times[0]} to {times[-1]}"
