"""A host behind its packet filter, in a network namespace on this machine, and a neighbor that sends it frames."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import pwd
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.roles.frames import Packet, frame

Value = TypeVar("Value")

HOST, NEIGHBOR = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"
ADDRESS, SERVICE, FABRIC = "10.20.0.11", "10.30.0.11", "fd40::11"
LINK_LOCAL, ADMIN = "fe80::11", "10.20.0.7"
BEHIND = "10.50.0.2"
"""A machine that only the host can reach."""
_NEW_NETWORK = 0x40000000
_LINKS = f"""\
link add out type veth peer name in address {HOST.hex(":")} netns HOST
link set out up
"""
_ADDRESSES = f"""\
link set lo up
link set in up
addr add {ADDRESS}/24 dev in
addr add {SERVICE}/32 dev in
addr add {FABRIC}/64 dev in nodad
addr add fd20::11/64 dev in nodad
addr add {LINK_LOCAL}/64 dev in nodad
link add behind type veth peer name beyond
link set beyond up
link set behind up
addr add 10.50.0.1/24 dev behind
neigh add {BEHIND} lladdr {NEIGHBOR.hex(":")} dev behind
neigh add {ADMIN} lladdr {NEIGHBOR.hex(":")} dev in
neigh add 10.20.0.12 lladdr {NEIGHBOR.hex(":")} dev in
neigh add fd20::7 lladdr {NEIGHBOR.hex(":")} dev in
route add default via {ADMIN}
"""
_OBSERVER = """\
table inet observer {
  set arrived { type ether_addr; flags dynamic; }
  set passed { type ether_addr; flags dynamic; }
  set left { type inet_service . inet_service; flags dynamic; }
  chain before { type filter hook prerouting priority -500; add @arrived { ether saddr }; }
  chain after { type filter hook input priority 500; iif "in" add @passed { ether saddr }; }
  chain onward { type filter hook forward priority 500; add @passed { ether saddr }; }
  chain out { type filter hook output priority 500; meta l4proto { tcp, udp } add @left { th sport . th dport }; }
}
"""
"""Only TCP and UDP have ports: `th dport` of an ICMP packet is its checksum."""


class Walled:
    """A second table, whose chains run before and after the filter, shows what the filter does."""

    def __init__(self, inside: int, sender: socket.socket) -> None:
        self.network, self._sender = inside, sender
        self._sources = (b"\x02\1" + number.to_bytes(4, "big") for number in itertools.count())

    def load(self, rules: str) -> None:
        """Load these rules. Tables that they don't mention stay as they are."""
        subprocess_in(self.network, ["nft", "-f", "-"], rules)

    def passes(self, packet: Packet, saddr: str, daddr: str, *, hops: int = 64) -> bool:
        """Whether the host accepts or forwards this packet."""
        return self.passed({"it": (packet, saddr, daddr, hops)}) == ["it"]

    def passed(self, packets: dict[str, tuple[Packet, str, str, int]]) -> list[str]:
        """Send these packets, each with source, destination and hops, and return the names of those that pass."""
        names = {next(self._sources): name for name in packets}
        for source, name in names.items():
            packet, saddr, daddr, hops = packets[name]
            self._sender.send(frame(HOST, source, packet, saddr=saddr, daddr=daddr, hops=hops))
        # Packets arrive in order: when the last one has arrived, those before it have been filtered.
        last = next(self._sources)
        wait_for(lambda: names.keys() <= self._seen("arrived"))
        self._sender.send(frame(HOST, last, Packet(254, b"last"), saddr=ADMIN, daddr=ADDRESS))
        wait_for(lambda: last in self._seen("arrived"))
        through = self._seen("passed")
        return [name for source, name in names.items() if source in through]

    def lets_out(self, kind: socket.SocketKind, address: str, port: int, *, user: str = "root") -> bool:
        """Whether data that a user's program sends leaves the host."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def send() -> None:
            with _socket(family, kind, user) as asked, contextlib.suppress(OSError):
                asked.setblocking(False)
                asked.connect((address, port))
                asked.send(b"x")

        within(self.network, send)
        return self.has_sent(port)

    def has_sent(self, port: int) -> bool:
        """Whether anything has left the host for this port."""
        return bool(self.sources_of(port))

    def sources_of(self, port: int) -> list[int]:
        """Return the source ports of the packets that left for this port."""
        return [source for source, target in self.sent() if target == port]

    def sent(self) -> list[tuple[int, int]]:
        """Return the source and destination ports of the packets that left the host."""
        return [(source, target) for source, target in (element["concat"] for element in self._elements("left"))]

    @contextmanager
    def listening(self, port: int, *, user: str) -> Iterator[None]:
        """Within the block a user's program listens on this port of every address."""

        def listen() -> socket.socket:
            listener = _socket(socket.AF_INET, socket.SOCK_STREAM, user)
            listener.bind(("", port))
            listener.listen()
            return listener

        with within(self.network, listen):
            yield

    def _seen(self, name: str) -> set[bytes]:
        return {bytes.fromhex(element.replace(":", "")) for element in self._elements(name)}

    def _elements(self, name: str) -> list:  # type: ignore[type-arg]
        listed = subprocess_in(self.network, ["nft", "-j", "list", "set", "inet", "observer", name])
        found: list = json.loads(listed)["nftables"][1]["set"].get("elem", [])  # type: ignore[type-arg]
        return found


@contextmanager
def walled_host() -> Iterator[Walled]:
    """Both networks end with the block: only open files keep them alive."""
    inside, outside = _new_network(), _new_network()
    try:
        subprocess_in(outside, ["ip", "-batch", "-"], _LINKS.replace("HOST", f"/proc/{os.getpid()}/fd/{inside}"))
        subprocess_in(inside, ["ip", "-batch", "-"], _ADDRESSES)
        within(inside, lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
        sender = within(outside, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        with sender:
            sender.bind(("out", 0))
            walled = Walled(inside, sender)
            walled.load(_OBSERVER)
            yield walled
    finally:
        os.close(inside)
        os.close(outside)


def _socket(family: socket.AddressFamily, kind: socket.SocketKind, user: str) -> socket.socket:
    # The user applies to this thread only, and each piece of work has a separate thread.
    ctypes.CDLL(None).setfsuid(pwd.getpwnam(user).pw_uid)
    return socket.socket(family, kind)


def _new_network() -> int:
    def made() -> int:
        _checked(ctypes.CDLL(None, use_errno=True).unshare(_NEW_NETWORK))
        return os.open(f"/proc/self/task/{_thread()}/ns/net", os.O_RDONLY)

    return _in_a_thread(made)


def within(network: int, work: Callable[[], Value]) -> Value:
    """Return the result of `work`, run in this network."""

    def moved() -> Value:
        _checked(ctypes.CDLL(None, use_errno=True).setns(network, _NEW_NETWORK))
        return work()

    return _in_a_thread(moved)


def subprocess_in(network: int, command: list[str], text: str = "") -> str:
    def ran() -> str:
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return within(network, ran)


def wait_for(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"


def _in_a_thread(work: Callable[[], Value]) -> Value:
    """Run the work in a separate thread, because a network namespace applies to a thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def _thread() -> int:
    return int(ctypes.CDLL(None).gettid())


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
