"""A file of the application's with ids that no provider lists: responses and conversations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rackwright.errors import FleetError, Problem
from rackwright.migrate.export.kinds import ID, NAMED, Kind

MOST_SHOWN = 20
"""Problems of one file that are listed."""
_LONGEST = 1000
"""Bytes of a line that are read."""


def check_ids(path: Path) -> int:
    """Return how many ids the file has. Raise FleetError with each line that is none, or if it can't be read."""
    problems: list[Problem] = []
    count = more = 0
    for number, text in _lines(path):
        if parse_id(text) is not None:
            count += 1
        elif len(problems) < MOST_SHOWN:
            problems.append(Problem(f"{path}:{number}", *_wrong(text)))
        else:
            more += 1
    if more:
        problems.append(Problem(str(path), f"{more:,} more lines are no ids"))
    if not count and not problems:
        problems.append(Problem(str(path), "has no ids", "should have one in each line"))
    if problems:
        raise FleetError(problems)
    return count


def ids_in(path: Path) -> Iterator[tuple[Kind, str]]:
    """Yield the ids of a file that was checked, each with its kind."""
    for _, text in _lines(path):
        if (found := parse_id(text)) is not None:
            yield found


def parse_id(text: bytes) -> tuple[Kind, str] | None:
    """Return the kind and the id; None: it is no id of a response or a conversation."""
    try:
        id = text.decode("ascii").strip()
    except UnicodeDecodeError:
        return None
    kind = next((kind for prefix, kind in NAMED.items() if id.startswith(prefix)), None)
    return (kind, id) if kind and ID.fullmatch(id) else None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each line that isn't empty, with its number."""
    try:
        with path.open("rb") as stream:
            number, begins = 0, True
            while text := stream.readline(_LONGEST):
                number += begins
                if begins and text.strip():
                    yield number, text
                begins = text.endswith(b"\n")
    except OSError as error:
        raise FleetError([Problem(str(path), f"can't be read: {error.strerror}")]) from None


def _wrong(text: bytes) -> tuple[str, str]:
    try:
        shown = text.decode().strip()[:60]
    except UnicodeDecodeError:
        return "is not UTF-8 text", "should be an id like resp_0123 or conv_0123"
    return f"{shown!r} is no id", "should be one like resp_0123 or conv_0123, of at most 200 characters"
