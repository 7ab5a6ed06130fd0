"""A list in a file that only grows. Lines are on disk before the next ones, so a kill leaves whole lines."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, ClassVar, Generic, Protocol, Self, TypeVar

from rackwright.errors import RackwrightError

MOST_LINE = 64 * 2**20
"""Bytes."""


class Formatted(Protocol):
    """A line: a pydantic model whose `format` says what kind of line it is."""

    @property
    def format(self) -> str: ...

    def model_dump_json(self, *, exclude_defaults: bool, exclude: set[str]) -> str: ...


Line = TypeVar("Line", bound=Formatted)


@dataclass
class GrowingList(ABC, Generic[Line]):
    """The list in the folder `path`. Threads may share it."""

    FILE: ClassVar[str]

    path: Path
    length: int = field(default=0, init=False)
    """Bytes of whole lines; what a killed run left after them is no line."""
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    @abstractmethod
    def _parsed(self, text: bytes, where: str) -> Line:
        """Return the line. Raise RackwrightError if it is none."""

    @abstractmethod
    def _take(self, start: int, line: Line) -> None:
        """Remember a line that begins there, and that is on disk."""

    @property
    def place(self) -> Path:
        return self.path / self.FILE

    def load(self) -> Self:
        """Read the list, which is empty if there is none. Raise RackwrightError if a line is damaged."""
        for start, line, after in self._lines():
            self._take(start, line)
            self.length = after
        return self

    def append(self, *lines: Line) -> None:
        """Add the lines; they are on disk then. Raise RackwrightError if they can't be written."""
        texts = [_text(one) for one in lines]
        with self._lock:
            try:
                self._write(b"".join(texts))
            except OSError as error:
                raise RackwrightError(f"can't be written: {error.strerror}", where=str(self.place)) from None
            for line, text in zip(lines, texts, strict=True):
                start, self.length = self.length, self.length + len(text)
                self._take(start, line)

    def sha256(self, size: int | None = None) -> str | None:
        """Return the sha256 of the first bytes, or of all whole lines; None: there are fewer."""
        left = self.length if size is None else size
        digest = hashlib.sha256()
        if left > self.length:
            return None
        if left:
            with self._opened() as stream:
                while left and (part := stream.read(min(left, 2**20))):
                    digest.update(part)
                    left -= len(part)
        return digest.hexdigest()

    def _lines(self) -> Iterator[tuple[int, Line, int]]:
        """Yield where a line begins, the line, and where the next one begins; nothing if there is no file."""
        if not self.place.exists():
            return
        with self._opened() as stream:
            start = number = 0
            while (text := stream.readline(MOST_LINE)).endswith(b"\n"):
                number += 1
                yield start, self._parsed(text[:-1], f"{self.place} line {number}"), start + len(text)
                start += len(text)

    def _at(self, start: int) -> Line:
        """Return the line that begins there."""
        with self._opened() as stream:
            stream.seek(start)
            return self._parsed(stream.readline(MOST_LINE).removesuffix(b"\n"), str(self.place))

    def _opened(self) -> IO[bytes]:
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


def _text(line: Formatted) -> bytes:
    content = line.model_dump_json(exclude_defaults=True, exclude={"format"})
    return f'{{"format":"{line.format}",{content[1:]}\n'.encode()
