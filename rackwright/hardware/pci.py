"""PCI devices as `lspci -Dnn` or /sys lists them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PciDevice:
    address: str
    """Like 0000:17:00.0."""
    kind: str
    """Class code in four hex digits: 0300 VGA, 0302 3D controller, 0680 bridge, 0200 Ethernet, 0207 InfiniBand."""
    vendor: str
    """Four hex digits: 10de is NVIDIA, 15b3 Mellanox."""
    device: str
    """Four hex digits."""
    name: str = ""
    """As the host's list of PCI devices has it; empty where it has none."""
    numa: int | None = None
    """Its NUMA node; None: the host has one, or doesn't tell."""
