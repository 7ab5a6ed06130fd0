"""Locked repositories: wait for a live process, and remove what this machine's dead processes left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rackwright.errors import HostError
from rackwright.lifecycle.backup.restic_here import LOCKED, Restic
from rackwright.remote.answers import read_answer
from rackwright.remote.completed import Completed
from rackwright.values.base import Stored

PATIENCE = 600
"""How many seconds it waits for another process's lock."""
_MARGIN = 30
_MOST_LOCKS = 100


class _Lock(Stored):
    hostname: str
    pid: int


def patiently(
    restic: Restic,
    *words: str,
    timeout: float | None = None,
    patience: int | None = None,
    folder: Path | None = None,
) -> Completed:
    """Run restic as `Restic` does; if the repository is locked, free it or wait for `patience` seconds.

    A lock is removed only if all are of dead processes on this machine. Raise HostError if the repository stays
    locked.
    """
    done = restic(*words, timeout=timeout, folder=folder)
    if done.exit_status != LOCKED:
        return done
    holder = _free(restic)
    wait = PATIENCE if patience is None else patience
    longer = None if timeout is None else timeout + wait + _MARGIN
    done = restic("--retry-lock", f"{wait}s", *words, timeout=longer, folder=folder)
    if done.exit_status == LOCKED:
        raise HostError(f"locked{holder}, not damaged", where=restic.where)
    return done


def _free(restic: Restic) -> str:
    """Remove the locks of this machine's dead processes, unless there is another's; return whose that is."""
    for lock in _locks(restic):
        if lock.hostname != os.uname().nodename or _runs(lock.pid):
            return f" by process {lock.pid} of {lock.hostname[:64]}"
    restic("unlock", "-q")
    return ""


def _locks(restic: Restic) -> Iterator[_Lock]:
    for id in restic("list", "locks", "--no-lock", "-q").stdout.split()[:_MOST_LOCKS]:
        found = restic("cat", "lock", id, "--no-lock", "-q")
        if found.ok:
            yield read_answer(restic.where, "a lock", _Lock.model_validate_json, found.stdout)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/comm").read_text(errors="replace").strip() == "restic"
    except OSError:
        return False
