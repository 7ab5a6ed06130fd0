"""One member of a replica over several hosts: its rank, and its connection to the others."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.hosts.network import network_of_fabric
from rackwright.fleet.lock import Lock
from rackwright.fleet.ports import fabric_port, rendezvous_port
from rackwright.launch import Member
from rackwright.ports import EPHEMERAL
from rackwright.roles.firewall.settings import Confined, Opening
from rackwright.roles.replica_group.settings import Peer
from rackwright.roles.replica_group.settings import Settings as ReplicaGroup
from rackwright.values.network import Network


def member_of(fleet: Fleet, lock: Lock, replica: Replica, host: str) -> Member | None:
    """Return this host's part in a replica; None if the replica runs on a single host."""
    if not replica.members:
        return None
    addresses = tuple(fleet.fabric(member) for member in replica.members)
    return Member(replica.members.index(host), addresses, rendezvous_port(lock, replica))


def replica_group_of(fleet: Fleet, lock: Lock, replica: Replica, host: str, unit: str) -> ReplicaGroup:
    """Return the replica group of this host's engine: how it watches the other members."""
    peers = {
        member: Peer(name=member, address=fleet.fabric(member), port=fabric_port(lock, replica, member))
        for member in replica.members
    }
    return ReplicaGroup(
        replica=replica.name,
        unit=unit,
        own=peers[host],
        first=replica.host == host,
        # The first member watches all others, and they watch the first.
        peers=tuple(peers[name] for name in replica.members[1:]) if replica.host == host else (peers[replica.host],),
    )


def between_hint(lock: Lock, replica: Replica) -> str:
    """Return a hint for engines of a replica that can't reach each other: they log no reason themselves."""
    ports = f"{rendezvous_port(lock, replica)} and {EPHEMERAL[0]}-{EPHEMERAL[1]}"
    return f"are TCP {ports} open between {' and '.join(replica.members)} in their fabric network?"


def openings_between(fleet: Fleet, lock: Lock, host: str) -> Iterator[Opening]:
    """Yield the firewall openings for the other members of this host's replicas, on the fabric network."""
    for replica in fleet.parts_on(host):
        others = _others(fleet, replica, host)
        if not others:
            continue
        why, at = f"members of {replica.address}", network_of_fabric(fleet, host)
        yield Opening(port=fabric_port(lock, replica, host), sources=others, at=at, why=why)
        if replica.host == host:
            yield Opening(port=rendezvous_port(lock, replica), sources=others, at=at, why=why)
        # Tested: gloo and vLLM use arbitrary ports. If these are closed, engines don't start, and log no reason.
        yield Opening(port=EPHEMERAL[0], last=EPHEMERAL[1], sources=others, at=at, why=why)


def confined_to_members(fleet: Fleet, host: str) -> tuple[Confined, ...]:
    """Return the engines of this host that have a network, and the addresses that they may reach."""
    peers: dict[str, list[str]] = {}
    for replica in fleet.parts_on(host):
        if replica.members:
            others = [member for member in replica.members if member != host]
            peers.setdefault(f"rw-{replica.model}", []).extend(others)
    return tuple(
        Confined(user=user, peers=tuple(fleet.fabric(name) for name in dict.fromkeys(names)))
        for user, names in peers.items()
    )


def _others(fleet: Fleet, replica: Replica, host: str) -> tuple[Network, ...]:
    return tuple(ip_network(fleet.fabric(member)) for member in replica.members if member != host)
