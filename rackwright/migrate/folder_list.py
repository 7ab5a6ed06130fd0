"""`files.json` of a migration's folder: which files it has. A file that isn't listed doesn't count."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from rackwright.errors import LeasedError, RackwrightError
from rackwright.fleet.yaml_file import replace_file
from rackwright.values.base import Stored

MANIFEST = "files.json"
MOST_MANIFEST = 16 * 2**20


class StoredFile(Stored):
    """One encrypted file."""

    sha256: str
    bytes: int
    lines: int
    origin: str = ""
    """Gateway and file that it came from, if nobody has read it yet; "": it was written here, or read."""


class Manifest(Stored):
    format: Literal["migration-files/1"] = "migration-files/1"
    files: Mapping[str, StoredFile] = {}
    """Name, like requests-000001.jsonl.age → what it contains."""


def read_manifest(folder: Path) -> Manifest:
    """Return the folder's list of files; an empty one if there is none yet. Raise RackwrightError if damaged."""
    place = folder / MANIFEST
    try:
        if place.exists():
            with place.open("rb") as stream:
                return Manifest.model_validate_json(stream.read(MOST_MANIFEST))
    except OSError as error:
        raise RackwrightError(f"can't be read: {error.strerror}", where=str(place)) from None
    except ValidationError:
        raise RackwrightError(
            "is damaged, or a newer rackwright wrote it", where=str(place), should="restore it from a copy"
        ) from None
    return Manifest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the list. Raise RackwrightError if it can't be written."""
    place = folder / MANIFEST
    try:
        replace_file(place, (manifest.model_dump_json(indent=1) + "\n").encode(), mode=0o600)
    except OSError as error:
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(place)) from None


def manifest_sha256(folder: Path) -> str | None:
    """Return the sha256 of the list, None if there is none. Raise RackwrightError if it can't be read."""
    place = folder / MANIFEST
    try:
        return hashlib.sha256(place.read_bytes()).hexdigest() if place.exists() else None
    except OSError as error:
        raise RackwrightError(f"can't be read: {error.strerror}", where=str(place)) from None


@contextmanager
def locked(folder: Path, busy: str = "") -> Iterator[None]:
    """Keep other commands on this machine from changing the list meanwhile: what they add would be lost.

    `busy`: raise LeasedError with this text if another command is at it; "": wait for its end.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise RackwrightError(f"can't be opened: {error.strerror}", where=str(folder)) from None
    try:
        # A blocking call would also stop the greenlet of this process that has the lock.
        while not _taken(descriptor):
            if busy:
                raise LeasedError(busy, where=str(folder))
            time.sleep(0.02)
        try:
            yield
        finally:
            # Closing alone leaves the lock while a duplicate of the descriptor is open, such as a forked child's
            # before its exec.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
