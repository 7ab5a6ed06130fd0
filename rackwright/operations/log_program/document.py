"""The JSON documents that these programs keep: replaced whole, and checked value by value when they are read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

LARGEST = 256 * 2**20
"""Characters of a document."""


def load(path: Path) -> str | None:
    """Return the document's text; None if there is none. Raise OSError if it can't be read."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(LARGEST)
    except FileNotFoundError:
        return None


def save(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace the document atomically, and return when it is on the disk."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def rows(value: object) -> Iterator[list[object]]:
    """Yield the list's items. Raise ValueError if it isn't a list."""
    if not isinstance(value, list):
        raise ValueError("a list of rows is missing")
    yield from value


def text(value: object) -> str:
    """Return it if it is a short text; raise ValueError if it isn't."""
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError("not a text")
    return value


def whole(value: object) -> int:
    """Return it if it is a whole number of 64 bits; raise ValueError if it isn't."""
    if type(value) is not int or abs(value) >= 2**63:
        raise ValueError(f"not a number: {str(value)[:100]}")
    return value


def number(value: object) -> int:
    """Return it if it is a whole number from 0; raise ValueError if it isn't."""
    if whole(value) < 0:
        raise ValueError(f"a negative number: {value}")
    return whole(value)


def numbers(values: object, many: int) -> list[int]:
    """Return that many numbers from 0; raise ValueError if these aren't that."""
    if not isinstance(values, list) or len(values) != many:
        raise ValueError(f"not {many} numbers")
    return [number(value) for value in values]
