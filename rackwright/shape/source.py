"""Where a model's files are read from, by range: a disk, or a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class ShapeError(ValueError):
    """A file isn't what it should be; the text says what is wrong, without naming it."""


class Source(Protocol):
    """One file of known size."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, first: int, count: int) -> bytes:
        """Return `count` bytes from `first` on, fewer at the end. Raise OSError or RackwrightError where they can't
        be had."""


@dataclass(frozen=True)
class FileSource:
    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def read(self, first: int, count: int) -> bytes:
        with self.path.open("rb") as stream:
            stream.seek(first)
            return stream.read(count)


def exactly(source: Source, first: int, count: int) -> bytes:
    """Return these bytes. Raise ShapeError where the file ends before."""
    content = source.read(first, count)
    if len(content) != count:
        raise ShapeError(f"ends after {first + len(content)} bytes, in the middle of its header")
    return content


def whole(source: Source, limit: int) -> bytes:
    """Return all bytes of a small file. Raise ShapeError where it has more than the limit, or ends before."""
    if source.size > limit:
        raise ShapeError(f"is larger than {limit // 2**20} MiB")
    return exactly(source, 0, source.size)
