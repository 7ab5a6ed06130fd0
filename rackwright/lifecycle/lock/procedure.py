"""What `rackwright lock` does: hosts say which packages make their drivers, the rest is settled from here."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.resolve.lock import resolve_lock
from rackwright.resolve.web import Progress, quiet


def lock(fleet: Fleet, previous: Lock | None, *, upgrade: bool = False, on_progress: Progress = quiet) -> Lock:
    """Return a lock that answers every question of the fleet file. No host is asked where none has a new one.

    Raise FleetError with every question that has no answer, SecretError without the hub's token, HostError where a
    host can't be asked, RackwrightError where a server can't.
    """
    drivers = {}
    if fleet.file.drivers:
        # It brings SSH.
        from rackwright.lifecycle.lock.driver_sets import resolve_drivers

        drivers = resolve_drivers(fleet, previous, upgrade=upgrade)
    return resolve_lock(fleet, previous, drivers=drivers, upgrade=upgrade, on_progress=on_progress)
