"""The ids that an import has seen, on disk: millions of them need no memory."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rackwright.errors import RackwrightError


class SeenIds:
    """A set of ids in a temporary file, which is gone when it is closed."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        # An empty name: a private file, which SQLite removes.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("pragma journal_mode = off")
        self._database.execute("pragma synchronous = off")
        self._database.execute("create table seen (id blob primary key) without rowid")
        for one in known:
            self.add(one)

    def add(self, id: str) -> bool:
        """Add an id; return whether it is new. Raise RackwrightError if the temporary folder is full."""
        digest = hashlib.blake2b(id.encode(errors="replace"), digest_size=16).digest()
        try:
            return self._database.execute("insert or ignore into seen values (?)", (digest,)).rowcount == 1
        except sqlite3.Error as error:
            raise RackwrightError(
                f"ids can't be remembered: {error}",
                where="the folder for temporary files",
                should="needs about 40 bytes for each request: free space there, or set TMPDIR to another folder",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._database.close()
