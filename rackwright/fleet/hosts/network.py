"""Hosts as networks, for rules that admit or ban by source address."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from rackwright.fleet.fleet import Fleet
from rackwright.roles.firewall.settings import At
from rackwright.values.network import Network


def networks_of(fleet: Fleet, hosts: tuple[str, ...]) -> tuple[Network, ...]:
    """Return each host's service address as a network."""
    return tuple(ip_network(fleet.service(host)) for host in hosts)


def all_networks_of(fleet: Fleet, hosts: Iterable[str]) -> tuple[Network, ...]:
    """Return every address of these hosts as a network, as far as the fleet file has them as IP addresses."""
    found: dict[Network, None] = {}
    for host in hosts:
        settings = fleet.file.hosts[host]
        written = (settings.address, settings.service, settings.fabric)
        found |= {network: None for one in written if one and (network := _network(str(one)))}
    return tuple(found)


def network_of_fabric(fleet: Fleet, host: str) -> At:
    """Return the packet filter's name for the network of this host's `fabric` address."""
    return "service" if fleet.fabric(host) == fleet.apart(host).service else "fabric"


def never_shut_out(fleet: Fleet, host: str) -> tuple[Network, ...]:
    """Return the networks that this host's fail2ban never bans: the fleet's hosts' addresses, and `ignoreip`."""
    file = fleet.file
    reached = [_network(file.hosts[name].address) for name in fleet.hosts]
    hosts = {*networks_of(fleet, fleet.hosts), *(network for network in reached if network)}
    named = file.hosts[host].baseline.fail2ban.ignoreip
    return (*(file.firewall.admin_from if named is None else named), *sorted(hosts, key=str))


def _network(address: str) -> Network | None:
    try:
        return ip_network(address)
    except ValueError:
        return None  # a DNS name, or @local
