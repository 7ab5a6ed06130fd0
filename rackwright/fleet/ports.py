"""Each replica's port: assigned once, never changed."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.lock import Lock
from rackwright.ports import FABRIC_OFFSET, FIRST_PORT, LAST_PORT, RENDEZVOUS_OFFSET


def assign_ports(fleet: Fleet, previous: Lock | None) -> Mapping[str, Mapping[str, int]]:
    """Return host → replica → port for every replica that the fleet has.

    A replica keeps its port; a new one gets the lowest port from 8100 that no replica of its host has or had in the
    previous lock: a replica that is no longer placed serves until others answer. Hosts that are `disabled` keep their
    ports for later.
    """
    ports: dict[str, dict[str, int]] = {}
    for host, settings in fleet.file.hosts.items():
        had = previous.ports.get(host, {}) if previous else {}
        kept = dict(had)
        names = [replica.name for replica in fleet.parts_on(host)]
        if settings.disabled is None:
            kept = {name: port for name, port in kept.items() if name in names}
        for name in names:
            kept.setdefault(name, _lowest_free({*kept.values(), *had.values()}))
        if kept:
            ports[host] = kept
    return ports


def fabric_port(lock: Lock, replica: Replica, host: str) -> int:
    """Return the port in the fabric network where this member reports its engine's state to the others."""
    return lock.ports[host][replica.name] + FABRIC_OFFSET


def rendezvous_port(lock: Lock, replica: Replica) -> int:
    """Return the port in the fabric network where the first member's engine waits for the others."""
    return port_of(lock, replica) + RENDEZVOUS_OFFSET


def port_of(lock: Lock, replica: Replica) -> int:
    """Return the port that the lock has for a replica."""
    return lock.ports[replica.host][replica.name]


def _lowest_free(taken: set[int]) -> int:
    return next(port for port in range(FIRST_PORT, LAST_PORT + 1) if port not in taken)
