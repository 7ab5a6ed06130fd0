"""What the fleet file names in the network: what a scratch host must not be, and must not reach."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from ipaddress import ip_address

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.network import all_networks_of
from rackwright.fleet.lock import Lock
from rackwright.fleet.sections.hosts import JumpHost
from rackwright.lifecycle.drill.evidence.folder import folder_of
from rackwright.lifecycle.drill.evidence.known_drills import used_by
from rackwright.lifecycle.drill.scratch_hosts.destinations import Destination
from rackwright.lifecycle.drill.scratch_hosts.not_production import Production
from rackwright.lifecycle.drill.scratch_hosts.reach_probes import Place
from rackwright.ports import PEERS_PORT
from rackwright.remote.connection import Connection
from rackwright.values.network import Address

Lookup = Callable[[str], Iterable[Address]]
"""Given a DNS name, return its addresses; none if it has none."""


def look_up(name: str) -> tuple[Address, ...]:
    """Return the addresses that this machine's resolver knows for the name."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(ip_address(str(one[4][0]).partition("%")[0]) for one in found))


def production_of(
    fleet: Fleet,
    lock: Lock | None,
    connections: Mapping[str, Connection],
    servers: Iterable[Destination] = (),
    *,
    lookup: Lookup = look_up,
) -> Production:
    """Return what the fleet's hosts are known by. `connections` lead to those in service.

    `servers` are the drill's destinations; those of repositories must be no scratch host, either. Without the lock,
    the ports of replicas aren't known.
    """
    named = dict(hosts_addresses(fleet, lookup=lookup))
    for one in servers:
        if one.repository:
            named |= dict.fromkeys(_addresses(one.name, lookup), f"the server of {one.why}")
    ports = {port for replicas in (lock.ports.values() if lock else ()) for port in replicas.values()}
    stores = (host.store.path for host in fleet.file.hosts.values())
    return Production(
        fleet=fleet.file.fleet,
        connections=connections,
        addresses=named,
        ports=frozenset({443, PEERS_PORT, *ports}),
        models_at=tuple(dict.fromkeys(stores)),
        drills=partial(used_by, folder_of(fleet.path)),
    )


def hosts_addresses(fleet: Fleet, *, lookup: Lookup = look_up) -> dict[Address, str]:
    """Return every address of the fleet's hosts, also of disabled ones, with what it is."""
    found: dict[Address, str] = {}
    for text, what in _written(fleet):
        for address in _addresses(text, lookup):
            # Each machine has these: they say nothing about which one it is.
            if not (address.is_loopback or address.is_link_local or address.is_unspecified):
                found.setdefault(address, what)
    return found


def drill_makers(fleet: Fleet) -> tuple[str, ...]:
    """Return the hosts whose tool makes drills: only these have the secrets of drills."""
    drill = fleet.file.drill
    return fleet.tool_hosts if drill and drill.at else ()


def addresses_of_makers(fleet: Fleet) -> tuple[Address, ...]:
    """Return every address of the hosts whose tool makes drills. The fleet file has them as IP addresses."""
    return tuple(network.network_address for network in all_networks_of(fleet, drill_makers(fleet)))


def places_of(fleet: Fleet, *, lookup: Lookup = look_up) -> tuple[Place, ...]:
    """Return ssh and the clients' port of each host of the fleet and of the virtual address."""
    found: dict[tuple[Address, int], Place] = {}
    for address, what in hosts_addresses(fleet, lookup=lookup).items():
        owner = fleet.file.hosts.get(what.partition("'")[0])
        for port in dict.fromkeys((owner.ssh.port if owner else 22, 443)):
            found[address, port] = Place(address, port, what)
    return tuple(found.values())


def _written(fleet: Fleet) -> Iterator[tuple[str, str]]:
    for name, host in fleet.file.hosts.items():
        for key in ("address", "service", "fabric"):
            value = getattr(host, key)
            if value is not None and value != "@local":
                yield str(value), f"{name}'s {key}"
        if host.ssh.jump and host.ssh.jump not in fleet.file.hosts:
            jump = host.ssh.jump.address if isinstance(host.ssh.jump, JumpHost) else host.ssh.jump
            yield jump, f"the jump host of {name}"
    if fleet.file.gateway.vip:
        yield str(fleet.file.gateway.vip), "the gateways' virtual address"
    yield fleet.file.gateway.domain, "the address of gateway.domain"


def _addresses(text: str, lookup: Lookup) -> Iterable[Address]:
    try:
        return (ip_address(text),)
    except ValueError:
        return lookup(text)
