"""What runs on a schedule: patch runs in their windows, and drills. Pure.

A fleet has schedules if a control host has the tool.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.fleet_file import FleetFile
from rackwright.fleet.sections.drill import Drill
from rackwright.fleet.sections.patch import Patch
from rackwright.fleet.times.zone import zone_of
from rackwright.values.windows import openings

ScheduleName = Literal["patch", "drill"]
NAMES: tuple[ScheduleName, ...] = ("patch", "drill")
DRILL_STARTS_WITHIN = timedelta(hours=1)
"""A drill that hasn't started by then is missed."""


@dataclass(frozen=True)
class Occasion:
    """A time at which something is due (UTC)."""

    start: datetime
    end: datetime
    """It starts before this, or is missed; a patch window closes then."""


@dataclass(frozen=True)
class Schedule:
    name: ScheduleName
    said: str
    """When, as people write it, with the time zone. If it changes, this is another schedule."""
    patch: Patch | None
    """None: it is about drills."""
    drill: Drill | None
    zone: tzinfo

    @property
    def command(self) -> str:
        """What it runs."""
        return "patch run" if self.name == "patch" else "drill run"

    def between(self, since: datetime, until: datetime) -> Iterator[Occasion]:
        """Yield the occasions that end after `since` and start before `until`, in order."""
        if self.patch:
            for one in openings(since, until, self.patch.windows, self.patch.freezes, self.zone):
                yield Occasion(one.start, one.end)
        if self.drill and self.drill.at:
            for start in self.drill.at.between(since - DRILL_STARTS_WITHIN, until, self.zone):
                if start + DRILL_STARTS_WITHIN > since:
                    yield Occasion(start, start + DRILL_STARTS_WITHIN)


def schedules_of(fleet: Fleet) -> tuple[Schedule, ...]:
    """Return the fleet's schedules. Raise RackwrightError if this machine doesn't know its time zone."""
    if not fleet.tool_hosts:
        return ()
    file, zone = fleet.file, zone_of(fleet)
    found = []
    if file.patch and file.patch.windows:
        frozen = [f"except {', '.join(map(str, file.patch.freezes))}"] if file.patch.freezes else []
        said = "; ".join([", ".join(map(str, file.patch.windows)), *frozen])
        found.append(Schedule("patch", f"{said} ({file.timezone})", file.patch, None, zone))
    if file.drill and file.drill.at:
        found.append(Schedule("drill", f"{file.drill.at} ({file.timezone})", None, file.drill, zone))
    return tuple(found)


def calendar_of(file: FleetFile) -> tuple[str, ...]:
    """Return when the tool's timer elapses: at each start, as systemd writes it in `OnCalendar=`.

    Ordinary starts only: the timer doesn't know freezes, nor what a change of the clock does to a window.
    """
    windows = file.patch.windows if file.patch else ()
    drills = (file.drill.at,) if file.drill and file.drill.at else ()
    lines = (*(one.calendar(file.timezone) for one in windows), *(one.calendar(file.timezone) for one in drills))
    return tuple(dict.fromkeys(lines))
