"""What the isolation does to packets: it is loaded into a network namespace, and a neighbor sends frames."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from rackwright.lifecycle.drill.scratch_hosts.ruleset import Allowed, ruleset
from rackwright.roles.firewall.rules import rules
from rackwright.roles.firewall.settings import Opening, Settings
from tests.lifecycle.drill import neighbor_program
from tests.roles.frames import Packet, icmp, tcp, udp
from tests.roles.walled import ADDRESS, ADMIN, BEHIND, Walled, subprocess_in, walled_host, within

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")

PEER, TOOL, PRODUCTION, RESOLVER, SERVER, REACHED, STRANGER = (
    f"10.20.0.{last}" for last in (12, 51, 50, 53, 60, 90, 99)
)
VIP = "10.20.0.77"
ALLOWED = Allowed(
    controller=ip_address(ADMIN),
    tools=(ip_address(TOOL), ip_address("fd20::51")),
    peers=(ip_address(PEER), ip_address("fd20::12")),
    resolvers=(ip_address(RESOLVER),),
    servers=((ip_address(SERVER), 8000), (ip_address(PRODUCTION), 2022), (ip_address("fd20::60"), 8000)),
    reach=(ip_network("10.20.0.48/29"), ip_network(ADMIN), ip_network("10.20.0.88/30"), ip_network("fd20::/64")),
    production=(
        ip_address(PRODUCTION),
        ip_address(VIP),
        ip_address(TOOL),
        ip_address("fd20::50"),
        ip_address("fd20::77"),
    ),
)


@pytest.fixture(scope="module")
def walled() -> Iterator[Walled]:
    with walled_host() as walled:
        # The fleet's own filter, which an apply loads later, lets everyone in.
        walled.load(rules(Settings(openings=(Opening(port=1, last=65535, why="everyone"),), existing="keep")))
        walled.load(ruleset(ALLOWED))
        for own in (f"{VIP}/32", "fd20::77/128"):
            subprocess_in(
                walled.network,
                ["ip", "addr", "add", own, "dev", "in", *(["nodad", "preferred_lft", "0"] if ":" in own else [])],
            )
        for last in (12, 50, 51, 53, 60, 90, 99):
            for family in ("10.20.0.", "fd20::"):
                subprocess_in(
                    walled.network,
                    ["ip", "neigh", "replace", f"{family}{last}", "lladdr", "02:00:00:00:00:02", "dev", "in"],
                )
        yield walled


@pytest.mark.parametrize(
    ("packet", "saddr", "passes"),
    [
        (tcp(22), ADMIN, True),
        (tcp(443), ADMIN, True),
        (tcp(8100), ADMIN, False),
        (udp(443), ADMIN, False),
        (tcp(8100), PEER, True),
        (tcp(22), TOOL, True),
        (tcp(443), TOOL, False),
        (tcp(22), PRODUCTION, False),
        (tcp(443), STRANGER, False),
        (tcp(443), SERVER, False),
        (tcp(443, sport=8000, flags=0x12), SERVER, False),
        (icmp(8), ADMIN, False),
    ],
)
def test_only_the_controller_the_tools_and_other_scratch_hosts_get_in(
    walled: Walled, packet: Packet, saddr: str, *, passes: bool
) -> None:
    assert walled.passes(packet, saddr, ADDRESS) is passes


def test_nothing_is_forwarded(walled: Walled) -> None:
    assert not walled.passes(tcp(80), ADMIN, BEHIND)
    assert not walled.passes(tcp(80), PEER, BEHIND)


@pytest.mark.parametrize(
    ("kind", "address", "port", "leaves"),
    [
        (socket.SOCK_STREAM, SERVER, 8000, True),
        (socket.SOCK_STREAM, SERVER, 8001, False),
        (socket.SOCK_DGRAM, SERVER, 8002, False),
        (socket.SOCK_STREAM, "fd20::60", 8003, True),
        (socket.SOCK_STREAM, PEER, 8004, True),
        (socket.SOCK_STREAM, "fd20::12", 8005, True),
        (socket.SOCK_DGRAM, RESOLVER, 53, True),
        (socket.SOCK_STREAM, RESOLVER, 5353, True),  # in `reach`
        (socket.SOCK_STREAM, REACHED, 8006, True),
        (socket.SOCK_STREAM, STRANGER, 8007, False),
        (socket.SOCK_STREAM, PRODUCTION, 2022, True),
        (socket.SOCK_STREAM, PRODUCTION, 8008, False),
        (socket.SOCK_DGRAM, PRODUCTION, 8009, False),
        (socket.SOCK_STREAM, "fd20::50", 8010, False),
        (socket.SOCK_STREAM, TOOL, 22, False),
        (socket.SOCK_STREAM, ADMIN, 8011, False),
        (socket.SOCK_DGRAM, "192.0.2.1", 8012, False),
    ],
)
def test_only_what_is_allowed_leaves_even_if_reach_has_more(
    walled: Walled, kind: socket.SocketKind, address: str, port: int, *, leaves: bool
) -> None:
    assert walled.lets_out(kind, address, port) is leaves


@pytest.mark.parametrize(
    ("source", "to", "port", "leaves"),
    [(VIP, PEER, 8020, False), ("fd20::77", "fd20::12", 8021, False), (ADDRESS, PEER, 8022, True)],
)
def test_nothing_leaves_from_an_address_of_the_fleet(
    walled: Walled, source: str, to: str, port: int, *, leaves: bool
) -> None:
    def send() -> None:
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as asked, contextlib.suppress(OSError):
            asked.bind((source, 0))
            asked.sendto(b"x", (to, port))

    within(walled.network, send)
    assert walled.has_sent(port) is leaves


def test_a_conversation_that_began_before_the_isolation_ends() -> None:
    with walled_host() as walled:
        walled.load(
            rules(Settings(openings=(Opening(port=1, last=65535, protocol="udp", why="all"),), existing="keep"))
        )
        subprocess_in(
            walled.network, ["ip", "neigh", "replace", STRANGER, "lladdr", "02:00:00:00:00:02", "dev", "in"]
        )

        def listen() -> socket.socket:
            listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            listener.bind((ADDRESS, 9000))
            return listener

        with within(walled.network, listen) as listener:
            assert walled.passes(udp(9000), STRANGER, ADDRESS)
            listener.sendto(b"an answer", listener.recvfrom(100)[1])
            assert walled.passes(udp(9000), STRANGER, ADDRESS)
            walled.load(ruleset(ALLOWED))
            assert not walled.passes(udp(9000), STRANGER, ADDRESS)


def test_a_refused_connection_fails_at_once_and_is_counted(walled: Walled) -> None:
    def counted() -> int:
        listed = subprocess_in(walled.network, ["nft", "list", "counter", "inet", "rackwright_drill", "refused"])
        return int(listed.split("packets ")[1].split()[0])

    def connect() -> OSError:
        with pytest.raises(OSError, match="No route to host") as failed:
            socket.create_connection((PRODUCTION, 443), timeout=20)
        return failed.value

    before = counted()
    assert not isinstance(within(walled.network, connect), TimeoutError)
    assert counted() > before


def test_ssh_answers_of_a_connection_that_was_never_tracked_get_out(walled: Walled) -> None:
    """The connection that loads the rules is older than they are; its next packet may be an answer."""

    def answer() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
            for sport, flags in ((22, 0x18), (443, 0x10), (443, 0x02), (8100, 0x18)):
                with contextlib.suppress(PermissionError):
                    raw.sendto(_segment(sport, 50_000 + flags + sport, flags), (ADMIN, 0))

    within(walled.network, answer)
    left = {(source, target) for source, target in walled.sent() if target > 50_000}
    assert left == {(22, 50_000 + 0x18 + 22), (443, 50_000 + 0x10 + 443)}


def _segment(sport: int, dport: int, flags: int) -> bytes:
    segment = bytearray(tcp(dport, sport=sport, flags=flags).payload)
    packed = ip_address(ADDRESS).packed + ip_address(ADMIN).packed + bytes((0, 6, 0, len(segment))) + segment
    total = sum(int.from_bytes(packed[at : at + 2], "big") for at in range(0, len(packed), 2))
    total = (total & 0xFFFF) + (total >> 16)
    segment[16:18] = (~(total + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    return bytes(segment)


def test_nobody_learns_that_the_host_has_the_fleets_virtual_address() -> None:
    """A restored gateway announces it by ARP and neighbor advertisements, which would take the clients away."""
    assert _answers("", 4) == ["10.20.0.11", "10.20.0.77", "fd20::11", "fd20::77"]
    assert _answers(ruleset(ALLOWED), 2) == ["10.20.0.11", "fd20::11"]


def _answers(text: str, wanted: int) -> list[str]:
    command = ["unshare", "-n", sys.executable, neighbor_program.__file__, str(wanted)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()
