"""Values of a file with one JSON value in each line. A line that can't be used is skipped; the next one is read."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rackwright.migrate.folder import MOST_LINE
from rackwright.migrate.importing.found import Reason
from rackwright.migrate.importing.source_file import PIECE, Source


def values(source: Source) -> Iterator[tuple[int, object | Reason]]:
    """Yield the number of each line that isn't empty, and its value or why it has none.

    A line of any length needs little memory.
    """
    number = 0
    while line := source.readline(MOST_LINE + 1):
        number += 1
        if len(line) > MOST_LINE:
            _skip(source, line)
            yield number, Reason.TOO_LONG
        elif line.strip():
            yield number, value_of(line)


def value_of(line: bytes) -> object | Reason:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return Reason.NOT_UTF8
    try:
        found: object = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return Reason.NOT_JSON
    return found


def _skip(source: Source, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = source.readline(PIECE)


def _refused(name: str) -> object:
    raise ValueError(f"{name} isn't JSON")
