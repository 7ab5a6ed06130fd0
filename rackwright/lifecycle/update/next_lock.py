"""NAME.lock.next: the lock that the open rollout leads to. An update writes it; closing the rollout removes it."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.lock_file import NEXT, write_lock


def write_next(fleet: Fleet, lock: Lock) -> None:
    """Write the lock to NAME.lock.next, where `prune` sees what the rollout needs."""
    write_lock(fleet.sibling(NEXT), lock)


def remove_next(fleet: Fleet) -> None:
    """Remove NAME.lock.next if it exists."""
    fleet.sibling(NEXT).unlink(missing_ok=True)
