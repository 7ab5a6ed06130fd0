"""Sources of a model's files, read by range: a disk or a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class ShapeError(ValueError):
    """A file isn't valid. The text says what is wrong, without the file's name."""


class Source(Protocol):
    """One file of known size."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, first: int, count: int) -> bytes:
        """Return `count` bytes from `first` on, fewer at the end. Raise OSError or RackwrightError if they can't
        be read."""


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
    """Return exactly these bytes. Raise ShapeError if the file ends earlier."""
    content = source.read(first, count)
    if len(content) != count:
        raise ShapeError(f"ends after {first + len(content)} bytes, in the middle of its header")
    return content


def whole(source: Source, limit: int) -> bytes:
    """Return all bytes of a small file. Raise ShapeError if it exceeds the limit or ends too early."""
    if source.size > limit:
        raise ShapeError(f"is larger than {limit // 2**20} MiB")
    return exactly(source, 0, source.size)
