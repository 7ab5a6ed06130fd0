"""A file of lines that only grows. Each line is on disk before the next one, so a kill leaves whole lines."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rackwright.errors import RackwrightError

MOST_LINE = 64 * 2**20
"""Bytes."""


@dataclass
class GrowingFile:
    place: Path
    length: int = 0
    """Bytes of whole lines; what a killed run left after them is no line."""

    def lines(self) -> Iterator[tuple[int, bytes, int]]:
        """Yield where a line begins, its text, and where the next one begins; none if there is no file."""
        if not self.place.exists():
            return
        with self.opened() as stream:
            start = 0
            while (text := stream.readline(MOST_LINE)).endswith(b"\n"):
                yield start, text[:-1], start + len(text)
                start += len(text)

    def at(self, start: int) -> bytes:
        """Return the line that begins there."""
        with self.opened() as stream:
            stream.seek(start)
            return stream.readline(MOST_LINE).removesuffix(b"\n")

    def append(self, line: bytes) -> int:
        """Add the line and its end; return where it begins. Raise RackwrightError if it can't be written."""
        start = self.length
        try:
            self._write(line + b"\n")
        except OSError as error:
            raise RackwrightError(f"can't be written: {error.strerror}", where=str(self.place)) from None
        self.length += len(line) + 1
        return start

    def sha256(self, size: int | None = None) -> str | None:
        """Return the sha256 of the first bytes, or of all whole lines; None: there are fewer."""
        left = self.length if size is None else size
        digest = hashlib.sha256()
        if left > self.length:
            return None
        if left:
            with self.opened() as stream:
                while left and (part := stream.read(min(left, 2**20))):
                    digest.update(part)
                    left -= len(part)
        return digest.hexdigest()

    def opened(self) -> IO[bytes]:
        try:
            return os.fdopen(os.open(self.place, os.O_RDONLY | os.O_NOFOLLOW), "rb")
        except OSError as error:
            raise RackwrightError(f"can't be read: {error.strerror}", where=str(self.place)) from None

    def _write(self, content: bytes) -> None:
        descriptor = os.open(self.place, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            # What a killed run left of a line ends here.
            os.ftruncate(descriptor, self.length)
            os.lseek(descriptor, self.length, os.SEEK_SET)
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
