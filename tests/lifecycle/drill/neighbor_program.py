"""A program for a network namespace: asks as a neighbor who has four addresses, and prints those that are answered.

Its arguments are a file with rules, or nothing, and how many answers to wait for (2 s at most).
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress

MAC = bytes.fromhex("020000000002")
SETUP = """link add in type veth peer name out
link set in up
link set out up
link set lo up
addr add 10.20.0.11/24 dev in
addr add 10.20.0.77/24 dev in
addr add fd20::77/64 dev in nodad
addr add fd20::11/64 dev in nodad
"""


def ask_ipv4(raw: socket.socket, address: str) -> None:
    """ARP, RFC 826."""
    content = struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + MAC + bytes((10, 20, 0, 9)) + bytes(6)
    raw.send(b"\xff" * 6 + MAC + b"\x08\x06" + content + socket.inet_aton(address))


def ask_ipv6(raw: socket.socket, address: str) -> None:
    """Neighbor solicitation, RFC 4861."""
    source, target = (socket.inet_pton(socket.AF_INET6, text) for text in ("fd20::9", address))
    goal = bytes.fromhex("ff0200000000000000000001ff") + target[13:]
    body = struct.pack(">BBHI", 135, 0, 0, 0) + target + b"\x01\x01" + MAC
    covered = source + goal + struct.pack(">II", len(body), 58) + body
    total = sum(struct.unpack(f">{len(covered) // 2}H", covered))
    total = (total & 0xFFFF) + (total >> 16)
    body = body[:2] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + body[4:]
    head = struct.pack(">IHBB", 6 << 28, len(body), 58, 255) + source + goal
    raw.send(b"\x33\x33\xff" + target[13:] + MAC + b"\x86\xdd" + head + body)


def announce(address: str) -> None:
    """Announce the address from another one, as a program of the host may: RFC 4861, 7.2.6."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw, suppress(PermissionError):
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        raw.bind(("fd20::11", 0))
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("in"))
        body = struct.pack(">BBHI", 136, 0, 0, 0x20000000) + socket.inet_pton(socket.AF_INET6, address)
        raw.sendto(body + b"\x02\x01" + MAC, ("ff02::1", 0))


def answered(data: bytes) -> str | None:
    if data[12:14] == b"\x08\x06" and data[20:22] == b"\x00\x02":
        return socket.inet_ntoa(data[28:32])
    if data[12:14] == b"\x86\xdd" and data[54] == 136:
        return socket.inet_ntop(socket.AF_INET6, data[62:78])
    return None


def main(rules: str, wanted: int) -> None:
    subprocess.run(["ip", "-batch", "-"], input=SETUP, text=True, check=True)
    if rules:
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    seen: set[str] = set()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as raw:
        raw.bind(("out", 0))
        raw.settimeout(0.2)
        announce("fd20::77")
        for ask, address in (
            (ask_ipv4, "10.20.0.77"),
            (ask_ipv6, "fd20::77"),
            (ask_ipv4, "10.20.0.11"),
            (ask_ipv6, "fd20::11"),
        ):
            ask(raw, address)
        end = time.monotonic() + 2
        while time.monotonic() < end and len(seen) < wanted:
            try:
                data, about = raw.recvfrom(2000)
            except TimeoutError:
                continue
            if about[2] != socket.PACKET_OUTGOING and (address := answered(data)):
                seen.add(address)
    print(*sorted(seen))


if __name__ == "__main__":
    main(sys.stdin.read(), int(sys.argv[1]))
