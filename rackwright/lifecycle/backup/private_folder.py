"""Folders for secrets that exist only during a command, in memory if possible."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rackwright.values.tool_mode import PRIVATE

_NAME = re.compile(rf"{PRIVATE}([0-9]{{1,10}})-[^/]+")
_NEW_SECONDS = 60
"""A folder may be this old before its process has locked it."""


@contextmanager
def private_folder(*, room: int = 0, for_others: bool = False) -> Iterator[Path]:
    """Yield a new folder that only this user can enter; it is removed at the end of the block.

    It is below $XDG_RUNTIME_DIR, which a reboot empties, if that is this user's alone and has `room` bytes left; else
    below the system's temporary folder. `for_others`: the latter, because the folder will be given to another user.
    What killed processes of this user left is removed first.
    """
    runtime = _runtime()
    for place in {Path(tempfile.gettempdir()), *([runtime] if runtime else [])}:
        _remove_leftovers(place)
    fits = runtime and not for_others and (not room or shutil.disk_usage(runtime).free > room)
    with (
        tempfile.TemporaryDirectory(prefix=f"{PRIVATE}{os.getpid()}-", dir=runtime if fits else None) as name,
        _locked(name),
    ):
        yield Path(name)


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Show in this block that the folder is in use. The end of the process, however it ends, frees it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _runtime() -> Path | None:
    named = os.environ.get("XDG_RUNTIME_DIR")
    if not named or not Path(named).is_absolute():
        return None
    try:
        found = os.lstat(named)
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return Path(named) if private and os.access(named, os.W_OK | os.X_OK) else None


def _remove_leftovers(place: Path) -> None:
    try:
        with os.scandir(place) as entries:
            old = [
                entry.path for entry in entries if (match := _NAME.fullmatch(entry.name)) and _is_left(entry, match)
            ]
    except OSError:
        return
    for path in old:
        shutil.rmtree(path, ignore_errors=True)


def _is_left(entry: os.DirEntry[str], match: re.Match[str]) -> bool:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    old = own and found.st_mtime < time.time() - _NEW_SECONDS and not Path(f"/proc/{match[1]}").exists()
    # A process in a container has no entry in /proc here.
    return old and not _is_in_use(entry.path)


def _is_in_use(folder: str) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
