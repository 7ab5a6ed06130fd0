"""Recurring times: when something starts, by the wall clock of the fleet's time zone. Pure.

It happens once for each day that it names. A time that a clock change skips happens when the clock is set; one that
is repeated happens the first time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from rackwright.values.windows import DAYS, EVERY_DATE, calendar_line, days_of, same_offset_until

ORDINALS = ("first", "second", "third", "fourth", "last")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
PATTERN = (
    "^(((mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?|daily)"
    "|(first|second|third|fourth|last) (mon|tue|wed|thu|fri|sat|sun)"
    "( of (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    "(,(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))*)?)"
    " ([01][0-9]|2[0-3]):[0-5][0-9]$"
)
"""The same syntax for the JSON Schema."""
_FORM = re.compile(r"(?:(\S{1,20}) (?=\S+ \S))?(\S{1,20})(?: of (\S{1,60}))? ([01][0-9]|2[0-3]):([0-5][0-9])")
_SHOULD = (
    "should be days and a time like 'sun 04:00', 'daily 04:00', 'first sun 04:00' or 'last fri of jan,jul 22:00'"
)
_WEEK = 7


@dataclass(frozen=True)
class Recurring:
    """A time of day on some weekdays, or on one weekday of a month."""

    days: frozenset[int]
    """Weekdays; 0: Monday. With `ordinal`, exactly one."""
    minute: int
    """Minutes since midnight."""
    text: str
    """As people write it."""
    ordinal: str | None = None
    """Which of the month's weekdays; None: all."""
    months: tuple[int, ...] = ()
    """With `ordinal`, only in these (1: January); empty: in all."""

    def __str__(self) -> str:
        return self.text

    def on(self, day: date) -> bool:
        """Return whether it happens on this day of the calendar."""
        if day.weekday() not in self.days or (self.months and day.month not in self.months):
            return False
        if self.ordinal == "last":
            return (day + timedelta(days=_WEEK)).month != day.month
        return self.ordinal is None or (day.day - 1) // _WEEK == ORDINALS.index(self.ordinal)

    def between(self, since: datetime, until: datetime, zone: tzinfo) -> Iterator[datetime]:
        """Yield the times (UTC) from `since` on and before `until`, in order."""
        day, last = _day_in(since, zone), _day_in(until, zone)
        # A zone that skips a whole day lets its times happen on the day after.
        day -= timedelta(days=2)
        while day <= last:
            if self.on(day):
                moment = _moment(day, self.minute, zone)
                if since <= moment < until:
                    yield moment
            day += timedelta(days=1)

    def calendar(self, zone: str) -> str:
        """Return it as systemd writes it in `OnCalendar=`."""
        return calendar_line(self.days, self._dates(), self.minute, zone)

    def _dates(self) -> str:
        months = ",".join(f"{month:02}" for month in self.months) or "*"
        if self.ordinal is None:
            return EVERY_DATE
        if self.ordinal == "last":
            return f"*-{months}~07/1"
        first = ORDINALS.index(self.ordinal) * _WEEK + 1
        return f"*-{months}-{first:02}..{first + _WEEK - 1:02}"


def parse_recurring(value: object) -> Recurring:
    """Given "sun 04:00", "mon-fri 04:00", "daily 04:00", "first sun 04:00" or "last fri of jan,jul 22:00", return it.

    Raise ValueError for other values.
    """
    if isinstance(value, Recurring):
        return value
    match = _FORM.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(_SHOULD)
    ordinal, word, months = match[1], match[2], match[3]
    if ordinal is not None and ordinal not in ORDINALS:
        raise ValueError(f"should start with days, or with one of {', '.join(ORDINALS)}")
    days, minute = days_of(word), int(match[4]) * 60 + int(match[5])
    if ordinal is not None and word not in DAYS:
        raise ValueError(f"'{ordinal}' needs one weekday, like '{ordinal} sun 04:00'")
    if ordinal is None and months is not None:
        raise ValueError(f"months need one weekday of the month, like 'first {DAYS[min(days)]} of {months} 04:00'")
    return Recurring(days, minute, match[0], ordinal, _months(months))


def _months(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    names = text.split(",")
    if unknown := [name for name in names if name not in MONTHS]:
        raise ValueError(_unknown_month(unknown[0]))
    if len(set(names)) < len(names):
        raise ValueError("names a month twice")
    return tuple(sorted(MONTHS.index(name) + 1 for name in names))


def _unknown_month(name: str) -> str:
    should, near = f"should be {', '.join(MONTHS)}", name[:3].lower()
    if not name.isascii() or not name.isalpha():
        return f"has an unknown month; {should}"
    return f"unknown month '{name}'; " + (f"did you mean '{near}'?" if near in MONTHS else should)


def _day_in(moment: datetime, zone: tzinfo) -> date:
    return moment.astimezone(zone).date()


def _moment(day: date, minute: int, zone: tzinfo) -> datetime:
    """Return when a clock first shows this, or when it is set past it."""
    wall = datetime.combine(day, time(minute // 60, minute % 60))
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # The clock skips it. With the offset of after the change, it would be before the change.
    return same_offset_until(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), first, zone)
