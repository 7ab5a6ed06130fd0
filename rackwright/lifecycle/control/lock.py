"""The control hosts in NAME.lock."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock_file import read_lock, write_lock


def record_in_lock(fleet: Fleet, hosts: tuple[str, ...]) -> bool:
    """Write these control hosts to the lock; return whether it changed. Without a lock, the next one records them.

    Raise FleetError if the lock can't be read, RackwrightError if it can't be written.
    """
    path = fleet.sibling("lock")
    if not path.exists():
        return False
    lock = read_lock(path)
    if set(lock.control) == set(hosts):
        return False
    write_lock(path, lock.model_copy(update={"control": hosts}))
    return True
