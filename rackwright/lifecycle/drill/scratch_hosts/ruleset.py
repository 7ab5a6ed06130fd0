"""The isolation of one scratch host, in the syntax of nft(8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rackwright.values.network import Address, Network

TABLE = "rackwright_drill"
REFUSED = "refused"
"""The counter of packets that were not let out."""
_REFUSE = f'counter name "{REFUSED}" reject with icmpx admin-prohibited'


@dataclass(frozen=True)
class Allowed:
    """What a scratch host may reach, and who may reach it."""

    controller: Address
    """The address from which the controller connects, as the host sees it."""
    ssh_port: int = 22
    tools: tuple[Address, ...] = ()
    """The hosts whose tool makes drills: one of them cleans up, by ssh, if the machine that makes this one dies."""
    peers: tuple[Address, ...] = ()
    """The drill's other scratch hosts."""
    resolvers: tuple[Address, ...] = ()
    """DNS servers."""
    servers: tuple[tuple[Address, int], ...] = ()
    """Repositories and download sources: address and TCP port."""
    reach: tuple[Network, ...] = ()
    """`drill.reach` of the fleet file."""
    production: tuple[Address, ...] = field(default=(), repr=False)
    """Addresses of the fleet: none is reached, except as one of `servers`, and none is used as an own address."""


def ruleset(allowed: Allowed) -> str:
    """Return a file for nft that replaces the drill's tables, and nothing else, in one step."""
    lines = [
        "# Made by rackwright: isolates this host during a recovery drill. A drill removes it at its end.",
        f"table inet {TABLE}",
        f"delete table inet {TABLE}",
        f"table arp {TABLE}",
        f"delete table arp {TABLE}",
        f"table inet {TABLE} {{",
        *_sets(allowed),
        f"\tcounter {REFUSED} {{\n\t}}",
        *_chain("input", _input(allowed), "\t\tdrop"),
        *_chain("forward", (), "\t\tdrop"),
        # An error at once, so that a program doesn't wait for its time limit.
        *_chain("output", _output(allowed), f"\t\t{_REFUSE}"),
        "}",
        *_arp(allowed),
    ]
    return "".join(f"{line}\n" for line in lines)


def _sets(allowed: Allowed) -> Iterator[str]:
    peers, resolvers = set(allowed.peers), set(allowed.resolvers)
    for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        own = (allowed.controller,) if allowed.controller.version == version else ()
        yield from _set(f"controller{version}", kind, own)
        yield from _set(f"tools{version}", kind, _of(set(allowed.tools), version))
        yield from _set(f"peers{version}", kind, _of(peers, version))
        yield from _set(f"resolvers{version}", kind, _of(resolvers, version))
        yield from _set(f"production{version}", kind, _of(set(allowed.production), version))
        pairs = sorted({f"{address} . {port}" for address, port in allowed.servers if address.version == version})
        yield from _set(f"servers{version}", f"{kind} . inet_service", pairs)
        networks = sorted({str(network) for network in allowed.reach if network.version == version})
        yield from _set(f"reach{version}", kind, networks, flags="flags interval; auto-merge; ")


def _of(addresses: Iterable[Address], version: int) -> list[Address]:
    return sorted((address for address in addresses if address.version == version), key=int)


def _set(name: str, kind: str, elements: Iterable[object], *, flags: str = "") -> Iterator[str]:
    listed = ", ".join(map(str, elements))
    held = f"elements = {{ {listed} }}; " if listed else ""
    yield f"\tset {name} {{\n\t\ttype {kind}; {flags}{held}\n\t}}"


def _chain(hook: str, rules: Iterable[str], last: str) -> Iterator[str]:
    # Before the fleet's own filter, and independent of it: a packet must be accepted by both.
    yield f"\tchain {hook} {{\n\t\ttype filter hook {hook} priority filter - 10; policy drop;"
    yield from (f"\t\t{rule}" for rule in rules)
    yield f"{last}\n\t}}"


def _input(allowed: Allowed) -> Iterator[str]:
    yield 'iif "lo" accept'
    neighbors = "nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, nd-redirect"
    yield f"icmpv6 type {{ {neighbors} }} ip6 hoplimit 255 accept"
    yield "ct state invalid drop"
    # Answers to what `output` let out, and errors about it.
    yield "ct state established,related ct direction reply accept"
    for version, family in ((4, "ip"), (6, "ip6")):
        yield f"{family} saddr @controller{version} tcp dport {{ {_ports(allowed)} }} accept"
        yield f"{family} saddr @tools{version} tcp dport {allowed.ssh_port} accept"
        yield f"{family} saddr @peers{version} accept"
    yield "udp sport 67 udp dport 68 accept"
    yield "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept"


def _output(allowed: Allowed) -> Iterator[str]:
    yield 'oif "lo" accept'
    # A restored gateway may have the fleet's virtual address: nobody may learn that it is here.
    yield "ip saddr @production4 drop"
    yield "ip6 saddr @production6 drop"
    yield "icmpv6 type nd-neighbor-advert icmpv6 taddr @production6 drop"
    yield "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } ip6 hoplimit 255 accept"
    for version, family in ((4, "ip"), (6, "ip6")):
        # Without connection tracking, which may not know the connection that loads these rules.
        answers = "tcp flags & (syn | ack) != syn accept"
        yield f"{family} daddr @controller{version} tcp sport {{ {_ports(allowed)} }} {answers}"
        yield f"{family} daddr @tools{version} tcp sport {allowed.ssh_port} {answers}"
        yield f"{family} daddr @peers{version} accept"
        yield f"{family} daddr @resolvers{version} meta l4proto {{ tcp, udp }} th dport 53 accept"
        yield f"{family} daddr . tcp dport @servers{version} accept"
        for never in ("production", "controller"):
            yield f"{family} daddr @{never}{version} {_REFUSE}"
        yield f"{family} daddr @reach{version} accept"
    yield "udp sport 68 udp dport 67 accept"
    yield "ip6 saddr fe80::/10 udp sport 546 udp dport 547 accept"


def _ports(allowed: Allowed) -> str:
    return ", ".join(map(str, sorted({allowed.ssh_port, 443})))


def _arp(allowed: Allowed) -> Iterator[str]:
    yield f"table arp {TABLE} {{"
    yield from _set("production4", "ipv4_addr", _of(set(allowed.production), 4))
    yield "\tchain output {\n\t\ttype filter hook output priority filter; policy accept;"
    yield "\t\tarp saddr ip @production4 drop\n\t}\n}"
