"""A replica's engines as this command's hosts have them."""

from __future__ import annotations

from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.session.session import Session
from rackwright.roles.replica.settings import Settings as ReplicaUnit


def unit_of(session: Session, replica: Replica, host: str | None = None) -> ReplicaUnit:
    """Return the unit of its engine on one of its hosts: where it answers, if nothing is said."""
    (unit,) = (unit for unit in session.hosts[host or replica.host].replicas if unit.name == replica.name)
    return unit


def hosts_of(session: Session, replica: Replica) -> tuple[str, ...]:
    """Return those of its hosts that this command works on."""
    return tuple(host for host in replica.hosts if host in session.hosts)
