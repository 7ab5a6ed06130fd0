"""When something is due on a host with the tool, in systemd's words: one line for each start of a window."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.fleet.fleet import Fleet
from rackwright.values.windows import DAYS, Window


def calendar_of(fleet: Fleet) -> tuple[str, ...]:
    """Return the lines for OnCalendar= of systemd.timer(5); empty if nothing is ever due.

    They are for people and for a start on time: the tool itself decides what is due.
    """
    windows = fleet.file.patch.windows if fleet.file.patch else ()
    return tuple(dict.fromkeys(_line(window, fleet.file.timezone) for window in windows))


def _line(window: Window, zone: str) -> str:
    hour, minute = divmod(window.start, 60)
    return f"{_days(window)}*-*-* {hour:02}:{minute:02}:00 {zone}"


def _days(window: Window) -> str:
    return "" if len(window.days) == len(DAYS) else f"{','.join(_names(window))} "


def _names(window: Window) -> Iterator[str]:
    return (DAYS[day].capitalize() for day in sorted(window.days))
