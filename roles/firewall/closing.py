"""What the packet filter would take away: judged before the first change, without pyinfra."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from rackwright.errors import Problem
from rackwright.operations.facts.filters import Filters
from rackwright.operations.facts.listening import Socket
from rackwright.roles.firewall.settings import Opening, Settings

_ALWAYS_OPEN = {("udp", 68), ("udp", 546)}
"""DHCP and DHCPv6 clients."""
_STOPPABLE = ("ufw", "firewalld")


@dataclass(frozen=True)
class Closing:
    """A port that others reach now and won't reach any more, and the processes that listen there."""

    protocol: str
    port: int
    addresses: tuple[str, ...]
    processes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.protocol} {self.port} ({', '.join(self.processes) or 'the kernel'})"


def closing(sockets: tuple[Socket, ...], filters: Filters, settings: Settings) -> tuple[Closing, ...]:
    """Given who listens and what filters now, return every port that would close, by protocol and number.

    A port that stays open to some only counts as open; one that our table keeps shut already can't close.
    """
    kept = {(opening.protocol, opening.port) for opening in settings.openings} | _ALWAYS_OPEN
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
    """Given who filters now, return a problem for each, unless the fleet file says what to do about it."""
    if settings.existing is not None:
        return ()
    return tuple(
        Problem(
            where="firewall",
            what=f"{name} is at work on this host",
            should=f"write `firewall: {{existing: replace}}` to {_replaced(name)}, or `existing: keep` to leave it",
            next="rackwright plan",
        )
        for name in filters.active
    )


def _replaced(name: str) -> str:
    return f"stop {name}" if name in _STOPPABLE else f"let our rules act beside those of {name}"


def locks_out(settings: Settings, controller_address: str) -> Problem | None:
    """Given the address from which the host sees us, return a problem if its ssh port would be shut to us."""
    address = ip_address(controller_address.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_loopback or any(_admits(opening, settings.ssh_port, str(address)) for opening in settings.openings):
        return None
    return Problem(
        where="firewall.admin_from",
        what=f"{address}, where this command runs, could not reach ssh (port {settings.ssh_port}) any more",
        should=f"add {address} or its network to admin_from",
    )


def _admits(opening: Opening, port: int, address: str) -> bool:
    if (opening.protocol, opening.port) != ("tcp", port):
        return False
    return not opening.sources or any(ip_address(address) in network for network in opening.sources)
