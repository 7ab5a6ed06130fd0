"""Maintenance windows and freezes: when hosts may be patched, by the wall clock of the fleet's time zone. Pure.

A window is open while a clock on the wall there shows a time within it. So a window from 02:00 to 03:00 doesn't open
in a night in which the clock jumps over that hour, and opens twice in a night in which the hour is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAILY = "daily"
EVERY_DATE = "*-*-*"
"""Every date of the calendar, as systemd writes it."""
HORIZON = timedelta(days=400)
"""How far ahead this module looks: every date comes once, and after it any weekday."""
LONGEST = timedelta(days=8)
"""The longest time that windows may be open without a break to be a start for a schedule."""
_DAY = 24 * 60
_WINDOW = re.compile(r"(\S{1,20}) ([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00))")
_SHOULD = "should be days and a time like 'sun 02:00-05:00', 'mon-fri 22:00-04:00' or 'daily 01:00-03:00'"
_DATES = "should be a day like 2026-11-27, or the first and last like 2026-12-15/2027-01-06"
_STEP = timedelta(hours=6)
"""No time zone sets its clock twice within this time."""


@dataclass(frozen=True)
class Window:
    """A time of day on some weekdays, up to 24 hours; it may cross midnight."""

    days: frozenset[int]
    """The weekdays on which it opens; 0: Monday."""
    start: int
    """Minutes since midnight."""
    end: int
    """Minutes since the midnight before `start`; more than a day if it crosses midnight. Not part of the window."""
    text: str
    """As people write it."""

    def __str__(self) -> str:
        return self.text

    def has(self, wall: datetime) -> bool:
        """Return whether the window is open when a clock shows this."""
        minute, weekday = wall.hour * 60 + wall.minute, wall.weekday()
        today = weekday in self.days and self.start <= minute < self.end
        return today or ((weekday - 1) % 7 in self.days and minute + _DAY < self.end)

    def calendar(self, zone: str) -> str:
        """Return when it opens, as systemd writes it in `OnCalendar=`."""
        return calendar_line(self.days, EVERY_DATE, self.start, zone)


@dataclass(frozen=True)
class Freeze:
    """Days on which nothing is patched, by the calendar of the fleet's time zone."""

    first: date
    last: date
    """Included."""

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}/{self.last}"

    def has(self, day: date) -> bool:
        return self.first <= day <= self.last


def parse_window(value: object) -> Window:
    """Given "sun 02:00-05:00", "mon-fri 22:00-04:00" or "daily 01:00-24:00", return the window.

    Raise ValueError for other values.
    """
    if isinstance(value, Window):
        return value
    match = _WINDOW.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(_SHOULD)
    start, end = int(match[2]) * 60 + int(match[3]), int(match[4] or match[6]) * 60 + int(match[5] or match[7])
    if start == end:
        raise ValueError("starts and ends at the same time; write 00:00-24:00 for whole days")
    return Window(days_of(match[1]), start, end if end > start else end + _DAY, match[0])


def days_of(word: str) -> frozenset[int]:
    """Given "sun", "mon-fri" or "daily", return the weekdays (0: Monday). Raise ValueError for other words."""
    if word == DAILY:
        return frozenset(range(7))
    first, dash, last = word.partition("-")
    start, end = _day(first), _day(last if dash else first)
    return frozenset((start + number) % 7 for number in range((end - start) % 7 + 1))


def _day(word: str) -> int:
    if word in DAYS:
        return DAYS.index(word)
    from difflib import get_close_matches

    should = "should be mon, tue, wed, thu, fri, sat, sun, a range like mon-fri, or daily"
    if not re.fullmatch("[A-Za-z]{1,20}", word):
        raise ValueError(f"has an unknown day; {should}")
    near = [word[:3].lower()] if word[:3].lower() in DAYS else get_close_matches(word.lower(), (*DAYS, DAILY), 1)
    raise ValueError(f"unknown day '{word}'; " + (f"did you mean '{near[0]}'?" if near else should))


def parse_freeze(value: object) -> Freeze:
    """Given a day like "2026-11-27", or two like "2026-12-15/2027-01-06", return the freeze.

    Raise ValueError for other values.
    """
    if isinstance(value, Freeze):
        return value
    # YAML 1.1 reads an unquoted day as a date.
    text = value.isoformat() if isinstance(value, date) else value
    days = text.split("/") if isinstance(text, str) else ()
    try:
        if not 1 <= len(days) <= 2 or not all(re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", day) for day in days):
            raise ValueError
        first, last = (date.fromisoformat(day) for day in (days[0], days[-1]))
    except ValueError:
        raise ValueError(_DATES) from None
    if last < first:
        raise ValueError(f"ends before it begins; write {last}/{first}")
    return Freeze(first, last)


@dataclass(frozen=True)
class Opening:
    """A time (UTC) during which windows are open without a break, and no freeze is in force."""

    start: datetime
    end: datetime
    """Not part of it."""


def openings(
    since: datetime, until: datetime, windows: Collection[Window], freezes: Collection[Freeze], zone: tzinfo
) -> Iterator[Opening]:
    """Yield the openings that end after `since` and start before `until`, in order.

    One that is longer than LONGEST is left out: a window that never closes never opens either.
    """
    begin = since.astimezone(UTC) - LONGEST
    opened: datetime | None = None
    known = not is_open(begin, windows, freezes, zone)
    for edge in _edges(begin, windows, zone):
        if opened is None and edge >= until:
            return
        if not is_open(edge, windows, freezes, zone):
            if opened and edge > since:
                yield Opening(opened, edge)
            opened, known = None, True
        elif opened is None and known:
            opened = edge
        if opened and edge - opened > LONGEST:
            opened, known = None, False


def never_close(windows: Collection[Window]) -> bool:
    """Return whether there are windows, and one is open at any time of the week. Freezes and clock changes aside."""
    monday = datetime(2024, 1, 1)
    ends = (monday + timedelta(days=day, minutes=one.end) for one in windows for day in one.days)
    return bool(windows) and all(any(one.has(end) for one in windows) for end in ends)


def calendar_line(days: Collection[int], dates: str, minute: int, zone: str) -> str:
    """Return a time on these weekdays (0: Monday), if these dates allow it, as systemd writes it in `OnCalendar=`."""
    names = "" if len(days) == len(DAYS) else ",".join(DAYS[day].capitalize() for day in sorted(days)) + " "
    return f"{names}{dates} {minute // 60:02}:{minute % 60:02}:00 {zone}"


def is_open(moment: datetime, windows: Collection[Window], freezes: Collection[Freeze], zone: tzinfo) -> bool:
    """Return whether a moment is within a window and no freeze. Without windows, it is at any time."""
    wall = moment.astimezone(zone)
    if any(freeze.has(wall.date()) for freeze in freezes):
        return False
    return not windows or any(window.has(wall) for window in windows)


def open_until(
    moment: datetime, windows: Collection[Window], freezes: Collection[Freeze], zone: tzinfo
) -> datetime | None:
    """Return when windows that are open at a moment close (UTC), or a freeze begins, at most HORIZON later.

    None: none is open. Windows that follow one another without a break count as one.
    """
    if not is_open(moment, windows, freezes, zone):
        return None
    for edge in _edges(moment, windows, zone):
        if not is_open(edge, windows, freezes, zone):
            return edge
    return moment.astimezone(UTC) + HORIZON


def next_opening(
    moment: datetime,
    windows: Collection[Window],
    freezes: Collection[Freeze],
    zone: tzinfo,
    needed: timedelta = timedelta(),
) -> datetime | None:
    """Return the first time (UTC) from a moment on at which windows open, or are open, for at least `needed`.

    None: there is none within HORIZON.
    """
    opened = moment.astimezone(UTC) if is_open(moment, windows, freezes, zone) else None
    for edge in _edges(moment, windows, zone):
        if opened and edge - opened >= needed:
            return opened
        if not is_open(edge, windows, freezes, zone):
            opened = None
        elif opened is None:
            opened = edge
    return None


def _edges(moment: datetime, windows: Collection[Window], zone: tzinfo) -> Iterator[datetime]:
    """Yield, in order, times (UTC) after a moment between which no window opens or closes, and no day begins."""
    minutes = sorted({0, *(minute % _DAY for window in windows for minute in (window.start, window.end))})
    low = moment.astimezone(UTC)
    last = low + HORIZON
    while low < last:
        high = same_offset_until(low, min(low + _STEP, last), zone)
        wall, offset = low.astimezone(zone).replace(tzinfo=None), low.astimezone(zone).utcoffset() or timedelta()
        midnight = datetime.combine(wall.date(), datetime.min.time())
        for minute in (*minutes, *(minute + _DAY for minute in minutes)):
            edge = (midnight + timedelta(minutes=minute) - offset).replace(tzinfo=UTC)
            if low < edge < high:
                yield edge
        yield high
        low = high


def same_offset_until(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """Return when the clock is set between two times; the later one if it isn't."""
    offset = low.astimezone(zone).utcoffset()
    if high.astimezone(zone).utcoffset() == offset:
        return high
    # Clocks are set at a full second.
    start = low.replace(microsecond=0)
    same, other = 0, int((high - start).total_seconds())
    while other - same > 1:
        middle = (same + other) // 2
        if (start + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            same = middle
        else:
            other = middle
    return start + timedelta(seconds=other)
