"""A gateway that leaves and one that stays, as network namespaces: connections go on at the first one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address

import pytest

from rackwright.gateway.filters import Addresses, closed, handover
from tests.roles import walled
from tests.roles.frames import frame, tcp
from tests.roles.walled import subprocess_in, wait_for, within

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")
PORT = 443
SECONDS = 3
MACS = {name: bytes((2, 0, 0, 0, 9, number)) for number, name in enumerate(("client", "old", "new"))}
FIREWALL = """table inet rackwright {
    chain input { type filter hook input priority filter; policy drop;
        iif "lo" accept
        ct state established,related accept
        meta l4proto icmpv6 accept
        ct state invalid drop
        tcp dport 443 accept
    }
}
table inet observer {
    set seen { type inet_service; flags dynamic; }
    chain before { type filter hook prerouting priority -500; add @seen { tcp sport }; }
}
"""
"""As a gateway's, which tracks connections."""


@dataclass
class Segment:
    """A client and two gateways in one network. `base`: the first three parts of its addresses."""

    base: str
    networks: dict[str, int]
    vip: str
    listeners: dict[str, socket.socket]

    def ip(self, host: str, *words: str) -> str:
        return subprocess_in(self.networks[host], ["ip", *words])

    def nft(self, host: str, rules: str) -> None:
        subprocess_in(self.networks[host], ["nft", "-f", "-"], rules)

    def listed(self, host: str, *name: str) -> str:
        """Return what a set of nftables contains: its family, its table and its name are given."""
        return subprocess_in(self.networks[host], ["nft", "list", "set", *name])

    def accept(self, host: str) -> socket.socket:
        accepted, _ = self.listeners[host].accept()
        accepted.settimeout(SECONDS)
        return accepted

    @property
    def length(self) -> int:
        return ip_address(self.vip).max_prefixlen

    def own(self, host: str) -> str:
        return f"{self.base}{ {'client': 1, 'old': 2, 'new': 3}[host] }"

    def connect(self, address: str, *, host: str = "client") -> socket.socket:
        return within(self.networks[host], lambda: socket.create_connection((address, PORT), timeout=SECONDS))

    def move(self) -> None:
        """Move the address as Leaving.leave and keepalived do."""
        old, vip = ip_address(self.own("old")), ip_address(self.vip)
        self.nft("new", handover(vip, old, port=PORT, seconds=600))
        self.ip("old", "address", "del", f"{self.vip}/{self.length}", "dev", "eth0")
        self.nft("old", closed(Addresses(old, vip, PORT)))
        self.ip("old", "address", "replace", f"{self.vip}/{self.length}", "dev", "lo", "scope", "host")
        # keepalived adds an IPv6 address as one that the host itself doesn't use.
        unused = [*self.nodad, "preferred_lft", "0"] if self.nodad else []
        self.ip("new", "address", "add", f"{self.vip}/{self.length}", "dev", "eth0", *unused)
        # As if keepalived had announced it.
        self.ip("client", "neigh", "replace", self.vip, "lladdr", MACS["new"].hex(":"), "dev", "eth0", "nud", "stale")

    @property
    def nodad(self) -> list[str]:
        return ["nodad"] if self.length == 128 else []

    def neighbor(self) -> str:
        """Return the MAC address that the client sends to for the virtual address."""
        return self.ip("client", "neigh", "show", self.vip).partition("lladdr ")[2].split()[0]


@pytest.fixture(params=["10.9.0.", "fd99::"], ids=["IPv4", "IPv6"])
def segment(request: pytest.FixtureRequest) -> Iterator[Segment]:
    with _segment(request.param) as made:
        yield made


@contextmanager
def _segment(base: str) -> Iterator[Segment]:
    with ExitStack() as stack:
        networks = {}
        for name in ("client", "old", "new"):
            networks[name] = walled._new_network()
            stack.callback(os.close, networks[name])
        made = Segment(base, networks, f"{base}9", {})
        made.ip("client", "link", "add", "eth0", "address", MACS["client"].hex(":"), "type", "bridge")
        for name in ("old", "new"):
            there = f"/proc/{os.getpid()}/fd/{networks[name]}"
            peer = ["peer", "name", "eth0", "address", MACS[name].hex(":"), "netns", there]
            made.ip("client", "link", "add", name, "type", "veth", *peer)
            made.ip("client", "link", "set", name, "up", "master", "eth0")
        for name in networks:
            for link in ("lo", "eth0"):
                made.ip(name, "link", "set", link, "up")
            made.ip(
                name, "address", "add", f"{made.own(name)}/{64 if ':' in base else 24}", "dev", "eth0", *made.nodad
            )
            if name != "client":
                made.nft(name, FIREWALL)
        made.ip("old", "address", "add", f"{made.vip}/{made.length}", "dev", "eth0", *made.nodad)
        for name in ("old", "new"):
            made.listeners[name] = stack.enter_context(within(networks[name], lambda: _listener(base)))
        yield made


def _listener(base: str) -> socket.socket:
    """Return a listener at every address, as HAProxy's is also at one that the host doesn't have."""
    family, any_address = (socket.AF_INET6, "::") if ":" in base else (socket.AF_INET, "0.0.0.0")
    listener = socket.socket(family)
    listener.settimeout(SECONDS)
    listener.bind((any_address, PORT))
    listener.listen()
    return listener


def test_a_connection_outlives_the_move_in_both_directions_and_its_end_arrives(segment: Segment) -> None:
    with segment.connect(segment.vip) as client, segment.accept("old") as server:
        segment.move()
        for number in range(3):
            client.sendall(b"%d" % number)
            assert server.recv(9) == b"%d" % number
            server.sendall(bytes(200_000))
            assert sum(len(client.recv(50_000)) for _ in range(4)) > 0
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        client.shutdown(socket.SHUT_WR)
        assert server.recv(9) == b""


def test_new_connections_go_to_the_other_gateway_whatever_the_one_that_left_asks(segment: Segment) -> None:
    with segment.connect(segment.vip) as client, segment.accept("old") as server:
        segment.move()
        # It has to ask for the client's hardware address, and the client learns from the question.
        segment.ip("old", "neigh", "flush", "all")
        server.sendall(b"x")
        assert client.recv(9) == b"x"
        assert segment.neighbor() == MACS["new"].hex(":")
        for _ in range(3):
            segment.ip("client", "neigh", "flush", "all")
            with segment.connect(segment.vip), segment.accept("new"):
                assert segment.neighbor() == MACS["new"].hex(":")


def test_it_answers_no_question_about_the_virtual_address() -> None:
    with _segment("10.9.0.") as segment:
        segment.move()
        with within(segment.networks["client"], _arp) as raw:
            asking = {segment.vip: ip_address("10.9.0.98"), segment.own("old"): ip_address("10.9.0.99")}
            for address, sender in asking.items():
                raw.send(_question(address, sender.packed))
            answered = (seen[38:42] for seen in iter(lambda: raw.recv(100), b"") if seen[20:22] == b"\0\2")
            assert next(answered) == asking[segment.own("old")].packed


def _arp() -> socket.socket:
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("eth0", 0x0806))
    raw.settimeout(SECONDS)
    return raw


def _question(address: str, sender: bytes) -> bytes:
    """Return an ARP request to the gateway that has left (RFC 826)."""
    head = MACS["old"] + MACS["client"] + b"\x08\x06" + b"\0\1\x08\0\6\4\0\1"
    return head + MACS["client"] + sender + bytes(6) + ip_address(address).packed


def test_a_gateway_that_has_left_refuses_connections_except_its_own(segment: Segment) -> None:
    segment.move()
    for host in ("client", "new"):
        with pytest.raises(ConnectionRefusedError):
            segment.connect(segment.own("old"), host=host)
    with segment.connect(segment.own("old"), host="old"), segment.accept("old"):
        pass


def test_it_resets_no_connection_that_it_does_not_know(segment: Segment) -> None:
    segment.move()
    stray = tcp(PORT, sport=50_001, flags=0x10)
    with within(segment.networks["client"], lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3 << 8)) as raw:
        raw.bind(("eth0", 3))
        raw.settimeout(SECONDS)
        ends = {"saddr": segment.own("client"), "daddr": segment.vip}
        raw.send(frame(MACS["new"], MACS["client"], stray, **ends))
        wait_for(lambda: "50001" in segment.listed("old", "inet", "observer", "seen"))
        # It refuses this connection after it has answered what came before.
        with pytest.raises(ConnectionRefusedError):
            segment.connect(segment.own("old"))
        assert next(_resets(raw)) == segment.own("old")


def _resets(raw: socket.socket) -> Iterator[str]:
    """Yield who sends each reset from the clients' port."""
    while seen := raw.recv(2000):
        at, length, head = (26, 4, 34) if seen[12:14] == b"\x08\0" else (22, 16, 54)
        if seen[head : head + 2] == PORT.to_bytes(2, "big") and seen[head + 13] & 0x04:
            yield str(ip_address(seen[at : at + length]))


def test_the_handover_ends_by_itself(segment: Segment) -> None:
    segment.nft("new", handover(ip_address(segment.vip), ip_address(segment.own("old")), port=PORT, seconds=1))

    def listed() -> str:
        kind = "ip6" if ":" in segment.base else "ip"
        return segment.listed("new", kind, "rackwright_handover", "virtual_address")

    assert f"{segment.vip} timeout 1s" in listed()
    wait_for(lambda: segment.vip not in listed())
