"""The folder of a fleet's reports, next to its fleet file, and the files in it.

ID.json is a report, with its signature ID.json.sig and its pages ID.md and ID.html. ID.review-N.json is a review,
with its signature. ID.log is what the drill said. ID.draft.json holds the facts of a drill that hasn't been sealed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rackwright.errors import LeasedError, RackwrightError
from rackwright.fleet.yaml_file import replace_file
from rackwright.values.tool_mode import kept_beside

LIMIT = 16 << 20
"""Bytes. No report is larger."""
_MOST_HASHED = 1 << 30
_ID = r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}"
_MOST_FILES = 20_000


def folder_of(fleet_file: Path) -> Path:
    """Return the folder of the reports of this fleet file: NAME.drills for NAME.yml."""
    return kept_beside(fleet_file, f"{fleet_file.stem}.drills")


def is_id(text: str) -> bool:
    """Return whether the text can be a drill's id: a run's id."""
    return re.fullmatch(_ID, text) is not None


def reports_in(folder: Path) -> tuple[Path, ...]:
    """Return the paths of the reports, by id. Raise RackwrightError if the folder can't be read."""
    return tuple(path for path in _entries(folder) if re.fullmatch(rf"{_ID}\.json", path.name))


def drafts_in(folder: Path) -> tuple[Path, ...]:
    """Return the paths of the drafts, by id; none if there is no folder. Raise RackwrightError."""
    return tuple(path for path in _entries(folder) if re.fullmatch(rf"{_ID}\.draft\.json", path.name))


def reviews_in(folder: Path, drill: str) -> tuple[Path, ...]:
    """Return the paths of the drill's reviews, by number. Raise RackwrightError if the folder can't be read."""
    pattern = rf"{re.escape(drill)}\.review-([0-9]{{1,4}})\.json"
    found = [(int(match[1]), path) for path in _entries(folder) if (match := re.fullmatch(pattern, path.name))]
    return tuple(path for _, path in sorted(found))


def signed_ids(folder: Path) -> tuple[str, ...]:
    """Return the ids of all drills that have the signature of a report, with or without the report."""
    found = (re.fullmatch(rf"({_ID})\.json\.sig", path.name) for path in _entries(folder))
    return tuple(match[1] for match in found if match)


def report_path(folder: Path, drill: str) -> Path:
    return folder / f"{drill}.json"


def draft_path(folder: Path, drill: str) -> Path:
    return folder / f"{drill}.draft.json"


def log_path(folder: Path, drill: str) -> Path:
    """Return the path of what the drill said, a line each. The report has its hash, and that of each phase's part."""
    return folder / f"{drill}.log"


def signature_path(signed: Path) -> Path:
    return signed.with_name(f"{signed.name}.sig")


def pages_of(report: Path) -> tuple[Path, Path]:
    """Return the paths of the report's Markdown and HTML."""
    return report.with_suffix(".md"), report.with_suffix(".html")


def read(path: Path, limit: int = LIMIT) -> bytes:
    """Return the content of a plain file. Raise RackwrightError if it is missing, a link, a device, or too large."""
    with _plain(path) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise _too_large(path, limit)
    return content


def hash_of(path: Path) -> str:
    """Return the sha256 of a plain file of any size up to 1 GiB. Raise RackwrightError as `read` does."""
    digest, size = hashlib.sha256(), 0
    with _plain(path) as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
            if size > _MOST_HASHED:
                raise _too_large(path, _MOST_HASHED)
    return digest.hexdigest()


@contextmanager
def _plain(path: Path) -> Iterator[IO[bytes]]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise RackwrightError("is not a plain file", where=str(path))
            yield stream
    except OSError as error:
        what = "is a symbolic link" if error.errno == errno.ELOOP else f"can't be read: {error.strerror}"
        raise RackwrightError(what, where=str(path), should="should be a plain file") from None


def _too_large(path: Path, limit: int) -> RackwrightError:
    return RackwrightError(f"is larger than {limit >> 20 or 1} MiB", where=str(path))


def put(path: Path, content: bytes) -> None:
    """Write the file atomically, and sync it and its folder. Raise RackwrightError; then it is unchanged."""
    try:
        if path.is_symlink():
            raise RackwrightError("is a symbolic link", where=str(path), should="should be a plain file")
        replace_file(path, content, mode=0o644)
        _sync(path.parent)
    except OSError as error:
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(path)) from None


def remove(path: Path) -> None:
    """Remove the file if it is there, and sync its folder. Raise RackwrightError."""
    try:
        path.unlink(missing_ok=True)
        _sync(path.parent)
    except OSError as error:
        raise RackwrightError(f"can't be removed: {error.strerror}", where=str(path)) from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create the folder if need be, and be its only writer in this block: wait for another one to finish."""
    with _held(folder, ".lock", fcntl.LOCK_EX):
        yield


@contextmanager
def running(folder: Path, drill: str) -> Iterator[None]:
    """In this block, the drill's draft isn't a leftover. The end of the process ends it, too.

    Raise LeasedError if another process runs this drill.
    """
    name = f".running-{drill}"
    with _held(folder, name, fcntl.LOCK_EX | fcntl.LOCK_NB):
        try:
            yield
        finally:
            (folder / name).unlink(missing_ok=True)


def is_running(folder: Path, drill: str) -> bool:
    """Return whether a process on this machine runs the drill."""
    if not (folder / f".running-{drill}").exists():
        return False
    try:
        with _held(folder, f".running-{drill}", fcntl.LOCK_EX | fcntl.LOCK_NB):
            return False
    except LeasedError:
        return True


@contextmanager
def _held(folder: Path, name: str, how: int) -> Iterator[None]:
    try:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(folder)) from None
    try:
        fcntl.flock(descriptor, how)
        yield
    except BlockingIOError:
        raise LeasedError("another process runs this drill", where=str(folder / name)) from None
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entries(folder: Path) -> tuple[Path, ...]:
    try:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise RackwrightError(f"can't be read: {error.strerror}", where=str(folder)) from None
    if len(found) > _MOST_FILES:
        raise RackwrightError(f"has more than {_MOST_FILES} files", where=str(folder))
    return tuple(found)
