"""What the ledger counts by: key, side and hour."""

from __future__ import annotations

import re
from typing import NamedTuple, TypeVar

HOURS_KEPT = 48
"""Whole days that began longer ago become daily sums, so that there are hours of two to three days."""
DAYS_KEPT = 400
MOST_ROWS = 50_000
"""Of each kind. Further ones aren't counted, and how many weren't is noted."""
KEY = re.compile(r"[a-z][a-z0-9-]{0,23}")
GATEWAY = KEY
SIDES = ("cloud", "fleet", "fallback")
"""fallback: accepted for the fleet; no replica took it, and the cloud answered in its place."""
LAST_HOUR = 10_000_000
"""In the year 3110."""


class Row(NamedTuple):
    """What is counted together at one gateway."""

    hour: int
    """Hours since 1970, UTC, when the request's first byte arrived."""
    key: str
    """The API key's id."""
    side: str


class Day(NamedTuple):
    """What is kept of hours that have ended long ago."""

    gateway: str
    day: int
    """Days since 1970, UTC."""
    key: str
    side: str


Counted = TypeVar("Counted", Row, Day)


def moved(row: Counted) -> Counted | None:
    """Return the row of the requests that were accepted for this one and then answered by the cloud; None: there are
    none. HAProxy counts them in both rows."""
    return row._replace(side="fallback") if row.side == "fleet" else None


def is_row(hour: object, key: object, side: object) -> bool:
    """Return whether these can be a row's: what isn't is never kept."""
    return (
        type(hour) is int
        and 0 <= hour < LAST_HOUR
        and isinstance(key, str)
        and KEY.fullmatch(key) is not None
        and side in SIDES
    )


def first_hour(now_ms: int) -> int:
    """Return the first hour that is kept as an hour: the beginning of a day."""
    return (now_ms // 3_600_000 - HOURS_KEPT) // 24 * 24
