"""The periods of quotas: days and months, UTC. A period is a text like d20792 (days since 1970) or m202612."""

from __future__ import annotations

import re
from datetime import date

_EPOCH = date(1970, 1, 1).toordinal()
DAY_MS = 86_400_000
LAST_DAY = 400_000
"""In the year 3065."""
PERIOD = re.compile(r"d[0-9]{1,6}|m[0-9]{6}")


def date_of(day: int) -> date:
    """Return the date of a number of days since 1970."""
    return date.fromordinal(_EPOCH + day)


def day_of(day: date) -> int:
    """Return the days since 1970."""
    return day.toordinal() - _EPOCH


def daily(day: int) -> str:
    """Return the period of that day."""
    return f"d{day}"


def monthly(day: int) -> str:
    """Return the period of that day's month."""
    return f"m{date_of(day):%Y%m}"


def after_month(day: int) -> int:
    """Return the first day of the next month."""
    return day_of((date_of(day).replace(day=28) + (date.resolution * 4)).replace(day=1))


def kept(day: int) -> frozenset[str]:
    """Return the periods whose sums are kept on that day: the days and months around it.

    A clock that was wrong for a moment doesn't lose the sums of the month.
    """
    first = date_of(day).replace(day=1)
    months = {monthly(day_of(first) - 1), monthly(day), monthly(after_month(day))}
    return frozenset(months | {daily(near) for near in range(day - 2, day + 2)})
