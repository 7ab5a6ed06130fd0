"""What became of a request, by its line in the access log."""

from __future__ import annotations

import json

from rackwright.operations.log_program.ending import milliseconds, outcome
from rackwright.roles.ledger.program.rows import Row, is_row

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
