"""Ethernet frames as a neighbor sends them, for tests of the packet filter."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

_TCP, _UDP = 6, 17


@dataclass(frozen=True)
class Packet:
    """The content of an IP packet."""

    protocol: int
    payload: bytes
    checksum_at: int | None = None
    """The offset of its checksum; None: it has none."""


def tcp(dport: int, *, sport: int = 40000, flags: int = 0x02) -> Packet:
    """Return a segment; a SYN unless other flags are given."""
    return Packet(_TCP, struct.pack(">HHIIBBHHH", sport, dport, 1, 0, 5 << 4, flags, 1024, 0, 0), 16)


def udp(dport: int, *, sport: int = 40000) -> Packet:
    return Packet(_UDP, struct.pack(">HHHH", sport, dport, 9, 0) + b"x", 6)


def icmp(kind: int, *, code: int = 0, about: bytes = bytes(28)) -> Packet:
    """Return ICMP of IPv4. An error is about a packet that the host sent."""
    return Packet(1, struct.pack(">BBHI", kind, code, 0, 0) + about, 2)


def icmpv6(kind: int, *, body: bytes = bytes(24)) -> Packet:
    return Packet(58, struct.pack(">BBH", kind, 0, 0) + body, 2)


def frame(destination: bytes, source: bytes, packet: Packet, *, saddr: str, daddr: str, hops: int = 64) -> bytes:
    """Return the frame that takes this packet from one address to another."""
    head, kind = _head(ip_address(saddr), ip_address(daddr), packet, hops)
    return destination + source + struct.pack(">H", kind) + head + _summed(packet, saddr, daddr)


def _head(
    saddr: IPv4Address | IPv6Address, daddr: IPv4Address | IPv6Address, packet: Packet, hops: int
) -> tuple[bytes, int]:
    size, ends = len(packet.payload), saddr.packed + daddr.packed
    if isinstance(saddr, IPv6Address):
        return struct.pack(">IHBB", 6 << 28, size, packet.protocol, hops) + ends, 0x86DD
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, 0, 0, hops, packet.protocol, 0) + ends
    return _with_checksum(head, 10, b""), 0x0800


def _summed(packet: Packet, saddr: str, daddr: str) -> bytes:
    if packet.checksum_at is None:
        return packet.payload
    covered = ip_address(saddr).packed + ip_address(daddr).packed
    covered += struct.pack(">II", len(packet.payload), packet.protocol)
    # Only ICMP of IPv4 leaves the addresses out.
    return _with_checksum(packet.payload, packet.checksum_at, b"" if packet.protocol == 1 else covered)


def _with_checksum(data: bytes, at: int, covered: bytes) -> bytes:
    return data[:at] + struct.pack(">H", _checksum(covered + data)) + data[at + 2 :]


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
