"""Reads the bytes of a file that people write as text that is safe for the YAML parser."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import NoReturn

from rackwright.errors import FleetError, Problem

MAX_BYTES = 1_000_000

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# What YAML 1.2 doesn't call printable (production 1).
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_TAB = re.compile(r"^ *\t", re.MULTILINE)


def refuse(where: str, what: str, should: str | None = None, next: str | None = None) -> NoReturn:
    raise FleetError([Problem(where, what, should, next)])


def read_text(path: Path, called: str = "fleet file") -> str:
    """Return the file's text, without a byte order mark. `called`: what errors call the file.

    Raise FleetError unless it is a small UTF-8 file without tabs at the start of a line."""
    text = _decoded(_bytes(path, called), str(path))
    if match := _UNPRINTABLE.search(text):
        code = ord(match[0])
        refuse(_line(path, text, match.start()), f"has the unprintable character U+{code:04X}", "remove it")
    if match := _TAB.search(text):
        refuse(_line(path, text, match.start()), "the line starts with a tab", "indent with spaces")
    return text


def _line(path: Path, text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"{path}:{line}"


def _bytes(path: Path, called: str) -> bytes:
    where = str(path)
    try:
        if path.is_dir():
            refuse(where, "is a folder", "should be a file")
        if not path.is_file():
            if path.exists():
                refuse(where, "is not a regular file", "should be a YAML file")
            start = f"rackwright init {path}" if called == "fleet file" else None
            refuse(where, "no such file", f"should be the {called}", start)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        refuse(where, f"can't be read: {reason}", "should be a file that you may read")
    if len(data) > MAX_BYTES:
        size = path.stat().st_size / 1_000_000
        refuse(where, f"is too large ({size:.1f} MB)", f"a {called} is at most 1 MB")
    return data


def _decoded(data: bytes, where: str) -> str:
    if data.startswith(_UTF16):
        refuse(where, "is UTF-16", "should be UTF-8", f"iconv -f UTF-16 -t UTF-8 {where}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        refuse(f"{where}:{line}", f"has the byte 0x{data[error.start]:02x}, which is not UTF-8", "save it as UTF-8")
