"""Driver and kernel of a patch run: the lock that it leads to, and which of it is installed when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rackwright.fleet.desired import desired
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import DriverLock, Lock, driver_of
from rackwright.lifecycle.reboot.new_driver import installed_set
from rackwright.lifecycle.session.session import Session


def with_drivers(fleet: Fleet, lock: Lock, sets: Mapping[str, DriverLock]) -> Lock:
    """Return the lock in which these hosts have these sets of driver and kernel, and everything else is as before."""
    hosts: dict[str, list[str]] = {}
    drivers = {**lock.drivers, **{one.name: one for one in sets.values()}}
    for host in fleet.file.hosts:
        if found := sets.get(host) or driver_of(lock, host):
            hosts.setdefault(found.name, []).append(host)
    # A host that isn't in the fleet file any more leaves the lock with the next `lock`.
    changed = {name: drivers[name].model_copy(update={"hosts": tuple(there)}) for name, there in hosts.items()}
    return lock.model_copy(update={"drivers": changed})


def under(session: Session, lock: Lock) -> Session:
    """Return the session as it is under another lock."""
    specs = desired(session.fleet, lock)
    return replace(session, lock=lock, hosts={name: specs[name] for name in session.hosts})


def installed(session: Session, before: Lock, after: Lock, hosts: Iterable[str]) -> Lock:
    """Return the lock by what is installed now: `after` for those of these hosts that have its set, else `before`.

    Raise HostError if a host can't be asked.
    """
    coming = {host: found for host in hosts if (found := driver_of(after, host))}
    names = session.remote.each(coming, lambda host: installed_set(session, host))
    return with_drivers(
        session.fleet, before, {host: one for host, one in coming.items() if names[host] == one.set.name}
    )
