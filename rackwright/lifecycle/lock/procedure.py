"""Make the lock. Hosts resolve the packages of their drivers; the controller resolves the rest."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.resolve.lock import resolve_lock
from rackwright.resolve.web import Progress, quiet


def lock(fleet: Fleet, previous: Lock | None, *, upgrade: bool = False, on_progress: Progress = quiet) -> Lock:
    """Return a lock that matches the fleet file. Asks hosts only if a question about their drivers is new.

    Raise FleetError with every question that has no answer, SecretError if the hub's token is missing, HostError if a
    host can't be asked, RackwrightError if a server can't.
    """
    drivers = {}
    if fleet.file.drivers:
        # Imports SSH.
        from rackwright.lifecycle.lock.driver_sets import resolve_drivers

        drivers = resolve_drivers(fleet, previous, upgrade=upgrade)
    return resolve_lock(fleet, previous, drivers=drivers, upgrade=upgrade, on_progress=on_progress)
