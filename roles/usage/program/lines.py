"""What a line of the access log adds to usage."""

from __future__ import annotations

import json

from rackwright.operations.log_program.ending import milliseconds, outcome
from rackwright.roles.usage.program.day import Ended, Row

LONGEST = 200
"""Characters of a key's id, an owner or a model."""
MOST = 2**40
"""Of anything that one request has: a day's sums stay below 64 bits."""
_NOBODYS = b'"key":null'
"""In the line of a request without a valid key. A client's text can't have it: its quotes would be escaped."""


def parse_ended(line: bytes) -> Ended | None:
    """Return the request of a line; None: it had no valid key. Raise ValueError if the line isn't one of the log."""
    if _NOBODYS in line:
        return None
    try:
        # From bytes, it would look for the encoding of each line.
        said = json.loads(line.decode())
        took = max(int(said["total_ms"] or 0), 0)
        first, at = said["first_byte_ms"], milliseconds(said["time"]) + took
        return Ended(
            _moment(at),
            Row(_text(said["key"]), _text(said.get("owner") or ""), _text(said["model"] or "")),
            outcome(said["end"], said["status"], first),
            _count(said["prompt_tokens"]),
            _count(said.get("cached_tokens")),
            _count(said["completion_tokens"]),
            said.get("estimated") is True,
            None if first is None or first < 0 else _count(first),
            _count(took),
            _text(said.get("replica") or ""),
        )
    except (TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
        raise ValueError("not a line of the log") from None


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise ValueError("not a short text")
    return value


def _moment(at: int) -> int:
    if at < 0:
        raise ValueError("before 1970")
    return at


def _count(value: object) -> int:
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value < MOST:
        raise ValueError("not a count")
    return value
