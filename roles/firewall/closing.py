"""The access that the packet filter would remove, checked before the first change. No pyinfra."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from rackwright.errors import Problem
from rackwright.operations.facts.filters import FORWARDING, Filters
from rackwright.operations.facts.listening import Socket
from rackwright.roles.firewall.settings import At, Opening, Settings
from rackwright.values.network import Address

_ALWAYS_OPEN = {("udp", 68), ("udp", 546)}
"""DHCP and DHCPv6 clients."""
_STOPPABLE = ("ufw", "firewalld")


@dataclass(frozen=True)
class Closing:
    """A port that other machines can reach now but not after the change, and the processes that listen on it."""

    protocol: str
    port: int
    addresses: tuple[str, ...]
    processes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.protocol} {self.port} ({', '.join(self.processes) or 'the kernel'})"


def closing(sockets: tuple[Socket, ...], filters: Filters, settings: Settings) -> tuple[Closing, ...]:
    """Given the listening sockets and current filters, return every port that would close, by protocol and number.

    A port that stays open only to some sources counts as open. Ports that rackwright's table already closes aren't
    returned.
    """
    kept = {(opening.protocol, port) for opening in settings.openings for port in opening.ports} | _ALWAYS_OPEN
    closes: dict[tuple[str, int], list[Socket]] = {}
    for socket in sockets:
        key = (socket.protocol, socket.port)
        reached = filters.admitted is None or key in filters.admitted
        if reached and key not in kept and not socket.is_loopback:
            closes.setdefault(key, []).append(socket)
    return tuple(
        Closing(
            protocol=protocol,
            port=port,
            addresses=tuple(sorted({socket.address for socket in found})),
            processes=tuple(sorted({socket.process for socket in found if socket.process})),
        )
        for (protocol, port), found in sorted(closes.items())
    )


def refusals(filters: Filters, settings: Settings) -> tuple[Problem, ...]:
    """Given the current filters, return a problem for each one, unless the fleet file says what to do about them."""
    if settings.existing is not None:
        return ()
    return tuple(
        Problem(
            where="firewall",
            what=f"{name} is active on this host",
            should=f"set `firewall: {{existing: replace}}` to {_replaced(name)}, or `existing: keep` to leave it",
            next="rackwright plan",
        )
        for name in filters.active
    )


def _replaced(name: str) -> str:
    if name == FORWARDING:
        return "drop forwarded packets"
    if name in _STOPPABLE:
        return f"stop {name}"
    return f"apply rackwright's rules in addition to those of {name}, and drop the packets that it forwards"


def locks_out(settings: Settings, controller: str, own: str) -> Problem | None:
    """Given our address as the host sees it, and the host's address that we connected to, return a problem if we
    could no longer reach its ssh port there."""
    address, asked = _address(controller), _address(own)
    at = _network(settings, asked)
    open_to_us = (opening for opening in settings.admitted_at(at) if _admits(opening, settings.ssh_port, address))
    if address.is_loopback or any(open_to_us):
        return None
    if at != "address" and any(_admits(opening, settings.ssh_port, address) for opening in settings.openings):
        return Problem(
            where="firewall.admin_at",
            what=f"ssh (port {settings.ssh_port}) would be closed at {asked}, the {at} address that this command "
            "connects to",
            should="connect to the host at its `address`, or set `admin_at: any`",
        )
    return Problem(
        where="firewall.admin_from",
        what=f"{address}, where this command runs, could no longer reach ssh (port {settings.ssh_port})",
        should=f"add {address} or its network to admin_from",
    )


def _network(settings: Settings, asked: Address) -> At:
    if asked in (settings.service, settings.vip):
        return "service"
    return "fabric" if asked == settings.fabric else "address"


def _address(text: str) -> Address:
    address = ip_address(text.partition("%")[0])
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _admits(opening: Opening, port: int, address: Address) -> bool:
    if opening.protocol != "tcp" or port not in opening.ports:
        return False
    return not opening.sources or any(address in network for network in opening.sources)
