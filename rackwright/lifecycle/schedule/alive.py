"""Show that a process lives, also to those that can't see it in /proc: the tool's sandbox hides all others.

Each process holds a lock on a file of its own. The end of the process, however it ends, frees the lock. The file
stays for a day: one that is there and isn't locked is of a process that has ended.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_KEPT_SECONDS = 86_400


@contextmanager
def shown(folder: Path, name: str) -> Iterator[None]:
    """Show in this block that the process of this name lives. If that can't be written, nothing shows it."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_leftovers(folder)
    with ExitStack() as until_the_end:
        with suppress(OSError):
            file = until_the_end.enter_context((folder / name).open("w"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def lives(folder: Path, name: str) -> bool | None:
    """Return whether the process of this name lives; None: nothing shows it."""
    try:
        with (folder / name).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _remove_leftovers(folder: Path) -> None:
    before = time.time() - _KEPT_SECONDS
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before and lives(folder, path.name) is False:
                path.unlink()
