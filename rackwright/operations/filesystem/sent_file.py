"""A file of the controller, on its way to a host: only the bytes that the lock names are ever sent."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator, Iterator
from functools import lru_cache
from pathlib import Path

import gevent
from gevent.lock import BoundedSemaphore

from rackwright.errors import RackwrightError
from rackwright.values.file import File
from rackwright.values.regular_file import open_regular

_NEXT = "put that file back, or accept what is there now: rackwright model update, rackwright runtime update"
PIECE = 2**20
"""Bytes that are read, hashed and compared at once."""
_one_at_a_time = BoundedSemaphore(1)


class UnfitFile(RackwrightError):
    """The file on the controller isn't the one in the lock."""


class SentFile:
    """A stream of a file's bytes, as they were when the whole file had the sha256 in the lock.

    The file is read once to be hashed, before the first byte is sent, and again for each host. These readings are
    compared, piece by piece, with the first, so the stream ends if the file is changed or exchanged in between. A
    copy would take as much space as the weights do. Memory: one piece, and a hash for each.
    """

    def __init__(self, path: Path, file: File) -> None:
        """Read and hash the file. Raise UnfitFile unless it is a regular file with this size and sha256."""
        self._path, self._size = path, file.size
        # Other hosts get the same file; the first reading is needed once.
        with _one_at_a_time:
            found = _hashes(path, file.size, file.sha256)
        if isinstance(found, str):
            raise UnfitFile(found)
        self._hashes = found
        self._at, self._left = 0, b""
        self._pieces = self._checked()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to the start or the end, and return the position; other positions are never needed."""
        if offset:
            raise io.UnsupportedOperation("only to the start or the end")
        self._at, self._left = self._size if whence == io.SEEK_END else 0, b""
        self._pieces = self._checked()
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int = -1) -> bytes:
        """Return up to `count` bytes; all that are left if negative. Raise UnfitFile if the file has changed."""
        if count < 0:
            return b"".join(iter(lambda: self.read(PIECE), b""))
        if self._at >= self._size:
            return b""
        self._left = self._left or next(self._pieces)
        part, self._left = self._left[:count], self._left[count:]
        self._at += len(part)
        if self._at >= self._size:
            # Commands are kept until the run ends, with their streams: close the file now.
            self._pieces.close()
        return part

    def _checked(self) -> Generator[bytes]:
        pieces = _pieces(self._path, self._size)
        for expected in self._hashes:
            piece = next(pieces, b"")
            if hashlib.sha256(piece).digest() != expected:
                raise UnfitFile(
                    f"{self._path} has changed on the controller while it was sent; run the same command again"
                )
            yield piece


@lru_cache(maxsize=256)
def _hashes(path: Path, size: int, sha256: str) -> tuple[bytes, ...] | str:
    """Return the hash of each piece, or what is wrong with the sha256.

    A cache keeps no exception, so each host would have the whole file hashed again. Raise UnfitFile if it isn't a
    regular file of this size.
    """
    whole, hashes = hashlib.sha256(), []
    for piece in _pieces(path, size):
        whole.update(piece)
        hashes.append(hashlib.sha256(piece).digest())
        # The lease is renewed and other hosts go on meanwhile.
        gevent.sleep(0)
    if whole.hexdigest() != sha256:
        found = f"has sha256 {whole.hexdigest()} on the controller, should have {sha256}"
        return f"{path} {found}; {_NEXT}"
    return tuple(hashes)


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """Yield the file in pieces. Raise UnfitFile if it isn't a regular file of this size, or can't be read."""
    try:
        with open_regular(path) as stream:
            found = stream.seek(0, io.SEEK_END)
            if found != size:
                wrong = f"{path} has {found} bytes on the controller, should have {size}"
                raise UnfitFile(f"{wrong}; {_NEXT}")
            stream.seek(0)
            while piece := stream.read(PIECE):
                yield piece
    except FileNotFoundError:
        raise UnfitFile(f"{path} is missing on the controller; put it back, or set another source") from None
    except OSError as error:
        raise UnfitFile(f"{path} on the controller can't be read: {error.strerror}") from None
