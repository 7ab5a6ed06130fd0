"""PCI devices as `lspci -Dnn` or /sys lists them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

NVIDIA = "10de"
_LSPCI = re.compile(
    r"(?P<address>[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) .*?\[(?P<kind>[0-9a-f]{4})\]: "
    r"(?P<name>.*)\[(?P<vendor>[0-9a-f]{4}):(?P<device>[0-9a-f]{4})\]"
)
_SYS = re.compile(
    r"(?P<address>[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) 0x(?P<kind>[0-9a-f]{4})[0-9a-f]{2} "
    r"0x(?P<vendor>[0-9a-f]{4}) 0x(?P<device>[0-9a-f]{4}) (?P<numa>-?\d{1,4})"
)


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
    """From the host's database of PCI devices; empty if it isn't in there."""
    numa: int | None = None
    """Its NUMA node; None: the host has only one, or doesn't report it."""


def address(text: str) -> str:
    """Return a PCI address in the format of lspci, 0000:17:00.0.

    nvidia-smi prints the domain with eight digits, and the kernel's log omits the function. A text that isn't an
    address is returned in lower case.
    """
    found = re.fullmatch(r"([0-9a-f]{1,8}):([0-9a-f]{2}):([0-9a-f]{2})(?:\.([0-7]))?", text.strip().lower())
    if not found:
        return text.strip().lower()
    return f"{int(found[1], 16):04x}:{found[2]}:{found[3]}.{found[4] or 0}"


def parse_lspci(text: str) -> tuple[PciDevice, ...]:
    """Given the output of `lspci -Dnn`, return display controllers, NVSwitches and network cards.

    Lines like `0000:17:00.0 3D controller [0302]: NVIDIA Corporation GH100 [H100 SXM5 80GB] [10de:2330] (rev a1)`.
    """
    found = (_LSPCI.match(line) for line in text.splitlines())
    return _kept(
        PciDevice(address(line["address"]), line["kind"], line["vendor"], line["device"], line["name"].strip())
        for line in found
        if line
    )


def parse_sys_pci(text: str) -> tuple[PciDevice, ...]:
    """Given lines with address, class, vendor, device and numa_node from /sys/bus/pci/devices, return the same.

    Lines like `0000:17:00.0 0x030200 0x10de 0x2330 0`; a node of -1 means none.
    """
    found = (_SYS.fullmatch(line.strip()) for line in text.splitlines())
    return _kept(
        PciDevice(
            address(line["address"]),
            line["kind"],
            line["vendor"],
            line["device"],
            numa=int(line["numa"]) if int(line["numa"]) >= 0 else None,
        )
        for line in found
        if line
    )


def merged(listed: tuple[PciDevice, ...], seen: tuple[PciDevice, ...]) -> tuple[PciDevice, ...]:
    """Given the devices of lspci and of /sys, return each one once, with the name from lspci and NUMA from /sys."""
    names = {device.address: device.name for device in listed}
    there = {device.address for device in seen}
    found = [replace(device, name=names.get(device.address, "")) for device in seen]
    found += [device for device in listed if device.address not in there]
    return tuple(sorted(found, key=lambda device: (len(device.address), device.address)))


def _kept(devices: Iterable[PciDevice]) -> tuple[PciDevice, ...]:
    def wanted(device: PciDevice) -> bool:
        switch = device.kind == "0680" and device.vendor == NVIDIA
        return device.kind[:2] in ("02", "03") or switch

    return tuple(filter(wanted, devices))
