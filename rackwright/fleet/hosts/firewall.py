"""Connections that this host accepts."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.etcd import openings_to_etcd
from rackwright.fleet.hosts.members import confined_to_members, openings_between
from rackwright.fleet.hosts.network import all_networks_of, networks_of
from rackwright.fleet.hosts.p2p import openings_to_p2p
from rackwright.fleet.lock import Lock
from rackwright.fleet.ports import port_of
from rackwright.fleet.sections.firewall import Allow
from rackwright.ports import PEERS_PORT
from rackwright.roles.firewall.settings import Opening, Settings
from rackwright.roles.vip.settings import Settings as Vip


def firewall_of(fleet: Fleet, lock: Lock, host: str, vip: Vip | None) -> Settings:
    """Return this host's packet filter. A port without permitted sources stays closed."""
    apart = fleet.apart(host)
    return Settings(
        openings=tuple(opening for opening in _openings(fleet, lock, host) if opening.sources),
        service=apart.service,
        fabric=apart.fabric,
        vip=vip.address if vip else None,
        vrrp_from=vip.peers if vip else (),
        confined=confined_to_members(fleet, host),
        ssh_port=fleet.file.hosts[host].ssh.port,
        existing=fleet.file.firewall.existing,
    )


def _openings(fleet: Fleet, lock: Lock, host: str) -> Iterator[Opening]:
    yield from _to_sshd(fleet, host)
    if host in fleet.gateways:
        yield from _to_gateway(fleet, host)
    yield from _to_replicas(fleet, lock, host)
    yield from openings_between(fleet, lock, host)
    yield from openings_to_p2p(fleet, host)
    yield from openings_to_etcd(fleet, host)
    for rule in fleet.file.firewall.allow:
        if host in fleet.named(rule.on):
            yield _allowed(rule)


def _to_sshd(fleet: Fleet, host: str) -> Iterator[Opening]:
    firewall, port = fleet.file.firewall, fleet.file.hosts[host].ssh.port
    at = None if firewall.admin_at == "any" else firewall.admin_at
    yield Opening(port=port, sources=firewall.admin_from, at=at, why="ssh from admins")
    # Also on such a host itself: the checks of who would be locked out look at the rules, not at loopback.
    tools = all_networks_of(fleet, fleet.tool_hosts)
    yield Opening(port=port, sources=tools, at=at, why="ssh from hosts with the tool")


def _to_gateway(fleet: Fleet, host: str) -> tuple[Opening, ...]:
    clients = fleet.file.firewall.clients_from
    others = tuple(name for name in fleet.hosts if name not in fleet.gateways)
    gateways = networks_of(fleet, fleet.gateways_beside(host))
    return (
        Opening(port=443, sources=clients, at="service", why="clients"),
        Opening(port=443, sources=networks_of(fleet, others), at="service", why="verify from hosts of the fleet"),
        Opening(port=PEERS_PORT, sources=gateways, at="service", why="gateways to each other"),
    )


def _to_replicas(fleet: Fleet, lock: Lock, host: str) -> Iterator[Opening]:
    gateways = networks_of(fleet, fleet.gateways)
    for replica in fleet.replicas_on(host):
        port = port_of(lock, replica)
        yield Opening(port=port, sources=gateways, at="service", why=f"gateways to {replica.name}")


def _allowed(rule: Allow) -> Opening:
    sources = rule.from_ if isinstance(rule.from_, tuple) else (rule.from_,)
    return Opening(port=rule.port, protocol=rule.protocol, sources=sources, at=rule.at, why=rule.why)
