"""The units and hosts of a replica, among the hosts that this command works on."""

from __future__ import annotations

from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.session.session import Session
from rackwright.roles.replica.settings import Settings as ReplicaUnit


def unit_of(session: Session, replica: Replica, host: str | None = None) -> ReplicaUnit:
    """Return its engine's unit on this host; without `host`, on the host where the replica answers."""
    (unit,) = (unit for unit in session.hosts[host or replica.host].replicas if unit.name == replica.name)
    return unit


def hosts_of(session: Session, replica: Replica) -> tuple[str, ...]:
    """Return the replica's hosts that this command works on."""
    return tuple(host for host in replica.hosts if host in session.hosts)
