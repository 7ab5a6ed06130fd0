"""The packet filter in the syntax of nft(8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from pathlib import Path

from rackwright.operations.haproxy.config_text import render
from rackwright.roles.firewall.settings import At, Confined, Opening, Settings
from rackwright.values.network import Address, Network

_LONGEST_COMMENT = 120
"""nft refuses comments over 128 bytes."""


def rules(settings: Settings) -> str:
    """Given the openings, return a file that replaces rackwright's table, and nothing else, in one step."""
    return render(
        Path(__file__).parent / "templates",
        "rackwright.nft.j2",
        apart=dict(_apart(settings)),
        rules=_openings(settings, "address"),
        vrrp=[f'{source} meta l4proto 112 accept comment "VRRP"' for source in _sources(_hosts(settings.vrrp_from))],
        forwards=settings.forwards,
        confined=[line for engine in settings.confined for line in _confined(engine)],
    )


def _apart(settings: Settings) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield each of the host's networks with its own address: its chain, and the matches that lead to it."""
    networks: dict[At, tuple[Address | None, ...]] = {
        "service": (settings.service, settings.vip),
        "fabric": (settings.fabric,),
    }
    for at, addresses in networks.items():
        if to := tuple(_sources(_hosts(address for address in addresses if address), "daddr")):
            yield at, {"to": to, "rules": _openings(settings, at)}


def _openings(settings: Settings, at: At) -> list[str]:
    return [line for opening in settings.admitted_at(at) for line in _opening(opening)]


def _opening(opening: Opening) -> Iterator[str]:
    ports = f"{opening.port}-{opening.last}" if opening.last else opening.port
    verdict = f'{opening.protocol} dport {ports} accept comment "{_comment(opening.why)}"'
    if not opening.sources:
        yield verdict
    for source in _sources(opening.sources):
        yield f"{source} {verdict}"


def _confined(engine: Confined) -> Iterator[str]:
    """Yield what one user's programs may connect to: the engine's members and loopback, and nothing else.

    No name server on loopback: a program that can resolve names can leak data in them.
    """
    user = f'meta skuid "{engine.user}"'
    yield f'{user} oif "lo" tcp dport 1024-65535 accept'
    for target in _sources(_hosts(engine.peers), "daddr"):
        yield f"{user} {target} meta l4proto tcp accept"
    yield f'{user} reject comment "reaches its members only"'


def _hosts(addresses: Iterable[Address]) -> tuple[Network, ...]:
    return tuple(ip_network(address) for address in addresses)


def _sources(networks: Iterable[Network], side: str = "saddr") -> Iterator[str]:
    """Yield one match for each address family among these networks."""
    listed = tuple(networks)
    four = tuple(collapse_addresses(net for net in listed if isinstance(net, IPv4Network)))
    six = tuple(collapse_addresses(net for net in listed if isinstance(net, IPv6Network)))
    if four:
        yield _from("ip", "ipv4", side, four)
    if six:
        yield _from("ip6", "ipv6", side, six)


def _from(family: str, protocol: str, side: str, networks: tuple[IPv4Network, ...] | tuple[IPv6Network, ...]) -> str:
    if networks[0].prefixlen == 0:
        return f"meta nfproto {protocol}"
    return f"{family} {side} {{ {', '.join(str(network) for network in networks)} }}"


def _comment(why: str) -> str:
    """Return a text that nft accepts as a comment; it has no escape for a quote within a string."""
    return re.sub(r"[^A-Za-z0-9 .,:;_@/()+=-]", "_", why)[:_LONGEST_COMMENT]
