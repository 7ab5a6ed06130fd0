"""The lab's folders on this machine, and its locks against concurrent runs."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache() -> Path:
    """Return the folder of files that can be made or downloaded again: wheels, model, runtime, .deb files."""
    return Path.home() / ".cache" / "rackwright" / "lab"


def labs() -> Path:
    """Return the folder that has one folder per lab, with its SSH key and pinned host keys."""
    return Path.home() / ".local" / "share" / "rackwright" / "lab"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold this machine's lock `name`. Other processes that want it wait."""
    labs().mkdir(parents=True, exist_ok=True, mode=0o700)
    with (labs() / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """Yield a temporary folder on the disk of the cache, for making `name`. It is removed at the end."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"rackwright-{name}-", dir=cache()) as folder:
        yield Path(folder)
