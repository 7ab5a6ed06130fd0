"""How this host gets weights from other hosts of the fleet, and which hosts may get weights from it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.network import network_of_fabric
from rackwright.roles.firewall.settings import Opening
from rackwright.roles.p2p.settings import Settings


def p2p_of(fleet: Fleet, host: str) -> Settings | None:
    """Return this host's p2p settings; None if p2p is off, or if no other host serves its models."""
    p2p, others = fleet.file.p2p, _others(fleet, host)
    if p2p is None or not others:
        return None
    return Settings(
        address=fleet.fabric(host),
        port=p2p.port,
        rate=p2p.rate,
        peers=tuple(fleet.fabric(name) for name in others),
    )


def openings_to_p2p(fleet: Fleet, host: str) -> Iterator[Opening]:
    """Yield the firewall openings for the other serving hosts, on the fabric network."""
    p2p = p2p_of(fleet, host)
    if p2p:
        sources = tuple(ip_network(peer) for peer in p2p.peers)
        at = network_of_fabric(fleet, host)
        yield Opening(port=p2p.port, sources=sources, at=at, why="weights from host to host")


def _others(fleet: Fleet, host: str) -> tuple[str, ...]:
    """Return the other hosts that serve any of this host's models."""
    models = {replica.model for replica in fleet.parts_on(host)}
    return tuple(
        name
        for name in fleet.hosts
        if name != host and any(replica.model in models for replica in fleet.parts_on(name))
    )
