"""What a line of the access log says: when its request began, and what became of it."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

COMPLETED, CANCELLED, INTERRUPTED, REJECTED = range(4)


def outcome(end: str, status: int, first_byte_ms: int | None) -> int:
    """Return what became of an accepted request, by three fields of its line."""
    if end == "client_aborted":
        return CANCELLED
    answered = 0 < status < 400
    if answered and end == "completed":
        return COMPLETED
    if answered and first_byte_ms is not None and first_byte_ms >= 0:
        return INTERRUPTED
    return REJECTED


def milliseconds(time: str) -> int:
    """Return the Unix milliseconds of a time like 2026-12-02T05:21:18.123Z."""
    hour, colon, rest = time[:13], time[13:14], time[14:]
    minute, second, fraction = rest[:2], rest[3:5], rest[6:9]
    if len(time) != 24 or colon + rest[2:3] + rest[5:6] + rest[9:] != "::.Z":
        raise ValueError("not a time of the log")
    return _hour(hour) * 3_600_000 + int(minute) * 60_000 + int(second) * 1000 + int(fraction)


@lru_cache(maxsize=256)
def _hour(text: str) -> int:
    """Return the hours since 1970 of a text like 2026-12-02T05."""
    return int(datetime.strptime(text + "+0000", "%Y-%m-%dT%H%z").timestamp()) // 3600
