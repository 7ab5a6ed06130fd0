"""The encrypted files of an export. A content is cut into parts, each of which age decrypts on its own.

So writing and reading need the same memory for any size, and `age -d` of one part after another gives the content.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.migrate.export.export_line import PART_NAME, Part, Piece
from rackwright.migrate.folder_key import FolderKey

PART = 4 * 2**20
"""Bytes of text in one file."""
_FOLDER = 1000
"""Objects in a folder."""


@dataclass
class NewFiles:
    """The files of one object that is being fetched. No line of the list names them yet."""

    path: Path
    key: FolderKey
    number: int
    """No other object has it."""
    _names: list[str] = field(default_factory=list)
    _count: int = 0

    def piece(self, name: str, content: Iterable[bytes], earlier: Piece | None = None) -> Piece:
        """Write a content; return what it is. If it equals `earlier`, that is returned, and no file stays.

        Raise RackwrightError if it can't be written, and what `content` raises; then no file of it stays.
        """
        parts: list[Part] = []
        try:
            piece = self._piece(name, content, earlier, parts)
        except BaseException:
            self._remove([one.file for one in parts])
            raise
        if piece is earlier:
            self._remove([one.file for one in parts])
        return piece

    def drop(self) -> None:
        """Remove all that was written."""
        self._remove(list(self._names))

    def _piece(self, name: str, content: Iterable[bytes], earlier: Piece | None, parts: list[Part]) -> Piece:
        digest, size, waiting = hashlib.sha256(), 0, bytearray()
        for some in content:
            digest.update(some)
            size += len(some)
            waiting += some
            while len(waiting) >= PART:
                parts.append(self._written(bytes(waiting[:PART])))
                del waiting[:PART]
        if earlier and (earlier.bytes, earlier.sha256) == (size, digest.hexdigest()):
            return earlier
        if waiting:
            parts.append(self._written(bytes(waiting)))
        return Piece(name=name, bytes=size, sha256=digest.hexdigest(), parts=tuple(parts))

    def _written(self, text: bytes) -> Part:
        self._count += 1
        name = f"{self.number // _FOLDER:05}/{self.number:08}-{self._count:04}.age"
        content = self.key.encrypted(text)
        place = self.path / name
        try:
            place.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            self._names.append(name)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            place.unlink(missing_ok=True)
            raise RackwrightError(f"can't be written: {error.strerror}", where=str(place)) from None
        return Part(file=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    def _remove(self, names: list[str]) -> None:
        for name in names:
            (self.path / name).unlink(missing_ok=True)
        self._names = [one for one in self._names if one not in names]


def wrong_part(path: Path, part: Part) -> str | None:
    """Return what is wrong with a file, by its sha256; None: nothing. It needs no key."""
    digest, size = hashlib.sha256(), 0
    try:
        with os.fdopen(os.open(path / part.file, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
            while size <= part.bytes and (some := stream.read(2**20)):
                digest.update(some)
                size += len(some)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return None if (size, digest.hexdigest()) == (part.bytes, part.sha256) else "was changed"


def decrypted(path: Path, key: FolderKey, piece: Piece) -> Iterator[bytes]:
    """Yield the content, part by part. Raise RackwrightError if a file is missing, changed, or for another key."""
    for part in piece.parts:
        place = path / part.file
        if wrong := wrong_part(path, part):
            raise RackwrightError(wrong, where=str(place), should="restore it from a copy")
        yield key.decrypted(place.read_bytes(), str(place))


def number_of(part: Part) -> int:
    return int(part.file.rpartition("/")[2].partition("-")[0])


def remove_strays(path: Path, named: set[int]) -> int:
    """Remove the files of objects that no line names, left by a run that was killed; return the highest number."""
    highest = max(named, default=0)
    for place in path.glob("[0-9]*/*.age"):
        if re.fullmatch(PART_NAME, str(place.relative_to(path))):
            number = int(place.name.partition("-")[0])
            if number not in named:
                place.unlink(missing_ok=True)
    return highest
