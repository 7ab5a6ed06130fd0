"""Items of one large JSON document: a list, a page with `data`, or the entries of an HTTP archive.

ijson holds one text or number in memory at a time, of any size. So the bytes are looked at first, and a document with
a larger one is refused there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from rackwright.errors import RackwrightError
from rackwright.migrate.folder import MOST_LINE
from rackwright.migrate.importing.found import Reason
from rackwright.migrate.importing.source_file import PIECE, Source

MOST_ITEM = 4 * MOST_LINE
"""Characters of all texts of one item, and as many values; a larger item is skipped."""
MOST_DEPTH = 200
MOST_NUMBER = 4096
_NUMBER = re.compile(rb"[^\s,:\[\]{}]{%d}" % MOST_NUMBER)


class Oversized(RackwrightError):
    """A text or number in the document is longer than MOST_LINE."""


class Guarded:
    """A file for ijson. `read` raises Oversized before it returns the piece that makes a text too long."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._inside = False
        self._escaped = False
        self._length = 0
        self._done = 0

    def read(self, size: int = PIECE) -> bytes:
        piece = self._source.read(min(size, PIECE) if size >= 0 else PIECE)
        self._look(piece)
        self._done += len(piece)
        return piece

    def _look(self, piece: bytes) -> None:
        if not piece:
            return
        plain = b"_" + piece[1:] if self._escaped else piece
        self._escaped = (len(plain) - len(plain.rstrip(b"\\"))) % 2 == 1
        parts = plain.replace(b"\\\\", b"__").replace(b'\\"', b"__").split(b'"')
        for number, part in enumerate(parts):
            if number:
                self._inside = not self._inside
                self._length = 0
            self._length += len(part)
            if self._length > MOST_NUMBER:
                self._refuse(part)

    def _refuse(self, part: bytes) -> None:
        if self._inside and self._length > MOST_LINE:
            raise Oversized(f"has a text of more than {MOST_LINE // 2**20} MiB near byte {self._done}")
        if not self._inside and _NUMBER.search(part):
            raise Oversized(f"has a number of more than {MOST_NUMBER} digits near byte {self._done}")


def items(source: Source, prefix: str) -> Iterator[object | Reason]:
    """Yield each item at this prefix of ijson, like `item` or `log.entries.item`, in every document of the file.

    An item that is too large or too deep is skipped. If the document is damaged or ends early, what came before it is
    yielded, then Reason.DAMAGED. Raise Oversized if one text is too long.
    """
    import ijson  # type: ignore[import-untyped]

    events = ijson.parse(Guarded(source), multiple_values=True, buf_size=PIECE)
    builder: _Builder | None = None
    try:
        for path, event, value in events:
            if builder is None:
                if path != prefix or event in ("end_map", "end_array", "map_key"):
                    continue
                builder = _Builder()
            builder.add(event, value)
            if builder.complete:
                yield builder.value
                builder = None
    except (ijson.JSONError, ValueError, ArithmeticError):
        yield Reason.DAMAGED


class _Builder:
    """One value, from its events; nothing more is kept of it once it is too large."""

    def __init__(self) -> None:
        self._depth = 0
        self._size = 0
        self._open: list[tuple[dict[str, object] | list[object], str]] = []
        self._key = ""
        self._root: object = None
        self._dropped = False

    @property
    def complete(self) -> bool:
        return self._depth == 0

    @property
    def value(self) -> object | Reason:
        return Reason.TOO_LONG if self._dropped else self._root

    def add(self, event: str, value: object) -> None:
        if event in ("start_map", "start_array"):
            self._depth += 1
        elif event in ("end_map", "end_array"):
            self._depth -= 1
        self._size += 1 + (len(value) if isinstance(value, str) else 0)
        if self._size > MOST_ITEM or self._depth > MOST_DEPTH:
            self._dropped, self._open, self._root = True, [], None
        if not self._dropped:
            self._build(event, value)

    def _build(self, event: str, value: object) -> None:
        if event == "map_key":
            self._key = str(value)
        elif event in ("end_map", "end_array"):
            _, self._key = self._open.pop()
        elif event in ("start_map", "start_array"):
            inner: dict[str, object] | list[object] = {} if event == "start_map" else []
            self._put(inner)
            self._open.append((inner, self._key))
        else:
            self._put(_plain(value))

    def _put(self, value: object) -> None:
        if not self._open:
            self._root = value
            return
        parent = self._open[-1][0]
        if isinstance(parent, dict):
            parent[self._key] = value
        else:
            parent.append(value)


def _plain(value: object) -> object:
    """ijson returns numbers with a fraction as Decimal."""
    return float(value) if isinstance(value, Decimal) else value
