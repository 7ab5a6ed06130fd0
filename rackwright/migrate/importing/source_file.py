"""A log as UTF-8 bytes: decompressed, without a byte order mark, whatever its encoding was."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from rackwright.errors import RackwrightError

HEAD = 65_536
"""Bytes from which a file's format is found out."""
PIECE = 262_144
_PACKED = {
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -d"),
    b"PK\x03\x04": ("zip", "unzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ": ("xz", "unxz"),
}
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""In this order: the mark of UTF-16 is the beginning of that of UTF-32."""


class Source(Protocol):
    """What the readers need of a file."""

    def read(self, size: int = -1, /) -> bytes: ...

    def readline(self, size: int = -1, /) -> bytes: ...

    def peek(self, size: int = 0, /) -> bytes: ...

    def close(self) -> None: ...


def open_source(path: Path) -> Source:
    """Open a log; gzip is decompressed. Raise RackwrightError if it isn't a file or is packed in another way."""
    try:
        if not path.is_file():
            raise RackwrightError("isn't a file" if path.exists() else "doesn't exist", where=str(path))
        raw: BinaryIO = path.open("rb")
    except OSError as error:
        raise RackwrightError(f"can't be read: {error.strerror}", where=str(path)) from None
    head = raw.read(6)
    raw.seek(0)
    for magic, (name, command) in _PACKED.items():
        if head.startswith(magic):
            raw.close()
            raise RackwrightError(
                f"is packed with {name}", where=str(path), should=f"unpack it first: {command} FILE"
            )
    plain = io.BufferedReader(
        _Checked(gzip.GzipFile(fileobj=raw) if head.startswith(b"\x1f\x8b") else raw, path), HEAD
    )
    start = plain.peek(4)[:4]
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            plain.read(len(mark))
            return io.BufferedReader(_Recoded(cast(BinaryIO, plain), encoding), HEAD)
    if start.startswith(codecs.BOM_UTF8):
        plain.read(len(codecs.BOM_UTF8))
    return plain


class _Checked(io.RawIOBase):
    """The bytes of a file; an error in them is a RackwrightError."""

    def __init__(self, stream: BinaryIO | gzip.GzipFile, path: Path) -> None:
        self._stream = stream
        self._path = path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            piece = self._stream.read(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise RackwrightError(
                "ends early or is damaged", where=str(self._path), should="a whole gzip file: gzip -t FILE"
            ) from None
        except OSError as error:
            raise RackwrightError(f"can't be read: {error.strerror}", where=str(self._path)) from None
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Recoded(io.RawIOBase):
    """Text in another encoding, as UTF-8; what isn't valid becomes the replacement character."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            piece = self._stream.read(PIECE)
            self._left = self._decoder.decode(piece, final=not piece).encode(errors="replace")
            if not piece:
                break
        piece, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._stream.close()
        super().close()
