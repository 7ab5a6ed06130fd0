"""What became of a request, by its line in the access log."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache

from rackwright.roles.ledger.program.rows import CANCELLED, COMPLETED, INTERRUPTED, REJECTED, Row, is_row

ACCEPTED = b'"accepted":true'
"""In each line that the ledger counts. A client's text can't have it: its quotes would be escaped."""


def parse_line(line: bytes) -> tuple[Row, int, int] | None:
    """Return the row of an accepted request, its outcome, and when it ended; None if the line isn't of one."""
    try:
        # From bytes, it would look for the encoding of each line.
        said = json.loads(line.decode())
        if said.get("accepted") is not True:
            return None
        began, total = milliseconds(said["time"]), said["total_ms"]
        row = Row(began // 3_600_000, said["key"], said["side"])
        if not is_row(*row):
            return None
        return row, outcome(said["end"], said["status"], said["first_byte_ms"]), began + max(int(total or 0), 0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
        return None


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
