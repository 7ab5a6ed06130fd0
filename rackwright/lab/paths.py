"""Where the lab keeps things on this machine, and the locks that keep two runs apart."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache() -> Path:
    """What can be made or downloaded again: wheels, model, runtime, .deb files."""
    return Path.home() / ".cache" / "rackwright" / "lab"


def labs() -> Path:
    """One folder for each lab: its SSH key, host keys' pins and addresses."""
    return Path.home() / ".local" / "share" / "rackwright" / "lab"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold this machine's lock `name`: another process that asks for it waits."""
    labs().mkdir(parents=True, exist_ok=True, mode=0o700)
    with (labs() / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder for what becomes `name`, on the disk of the cache, gone afterwards."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"rackwright-{name}-", dir=cache()) as folder:
        yield Path(folder)
