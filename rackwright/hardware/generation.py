"""The generation of an NVIDIA GPU, and the drivers that support it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal

from rackwright.hardware.pci import PciDevice

Module = Literal["open", "proprietary"]


class Generation(StrEnum):
    KEPLER = "kepler"
    MAXWELL = "maxwell"
    PASCAL = "pascal"
    VOLTA = "volta"
    TURING = "turing"
    AMPERE = "ampere"
    ADA = "ada"
    HOPPER = "hopper"
    GRACE_HOPPER = "grace hopper"
    BLACKWELL = "blackwell"
    RUBIN = "rubin"
    UNKNOWN = "unknown"


_RANGES = (
    (0x0FC0, 0x103F, Generation.KEPLER),
    (0x1180, 0x11FF, Generation.KEPLER),
    (0x1280, 0x130F, Generation.KEPLER),
    (0x1340, 0x143F, Generation.MAXWELL),
    (0x15C0, 0x15FF, Generation.PASCAL),
    (0x1600, 0x167F, Generation.MAXWELL),
    (0x1720, 0x172F, Generation.PASCAL),
    (0x1740, 0x17FF, Generation.MAXWELL),
    (0x1B00, 0x1D7F, Generation.PASCAL),
    (0x1D80, 0x1DFF, Generation.VOLTA),
    (0x1E00, 0x1FFF, Generation.TURING),
    (0x2080, 0x20FF, Generation.AMPERE),
    (0x2180, 0x21FF, Generation.TURING),
    (0x2200, 0x229F, Generation.AMPERE),
    (0x2300, 0x233F, Generation.HOPPER),
    (0x2340, 0x234F, Generation.GRACE_HOPPER),
    (0x2350, 0x23FF, Generation.HOPPER),
    (0x2400, 0x25FF, Generation.AMPERE),
    (0x2680, 0x28FF, Generation.ADA),
    (0x2900, 0x2F7F, Generation.BLACKWELL),
    (0x3000, 0x30FF, Generation.RUBIN),
    (0x3180, 0x33FF, Generation.BLACKWELL),
)
"""First and last device IDs of display controllers, from the PCI ID database of August 2026 (pci.ids, vendor 10de),
checked against the supported GPUs of open-gpu-kernel-modules 595.45.04 (README.md)."""
_CODENAMES = {
    "GK": Generation.KEPLER,
    "GM": Generation.MAXWELL,
    "GP": Generation.PASCAL,
    "GV": Generation.VOLTA,
    "TU": Generation.TURING,
    "GA": Generation.AMPERE,
    "AD": Generation.ADA,
    "GH": Generation.HOPPER,
    "GB": Generation.BLACKWELL,
    "GR": Generation.RUBIN,
}
_BEFORE_TURING = frozenset({Generation.KEPLER, Generation.MAXWELL, Generation.PASCAL, Generation.VOLTA})
_OPEN_ONLY = frozenset({Generation.GRACE_HOPPER, Generation.BLACKWELL, Generation.RUBIN})
_NEWEST = {
    Generation.KEPLER: 470,
    Generation.MAXWELL: 580,
    Generation.PASCAL: 580,
    Generation.VOLTA: 580,
}
_OLDEST = {
    Generation.VOLTA: 384,
    Generation.TURING: 410,
    Generation.AMPERE: 450,
    Generation.ADA: 525,
    Generation.HOPPER: 525,
    Generation.GRACE_HOPPER: 535,
    Generation.BLACKWELL: 570,
}


def generation_of(device: PciDevice) -> Generation:
    """Return the generation of a GPU, by its device ID, or else by the chip's name in its name."""
    if device.vendor != "10de":
        return Generation.UNKNOWN
    number = int(device.device, 16)
    for first, last, generation in _RANGES:
        if first <= number <= last:
            return generation
    chip = re.search(r"\b([GTA][KMPVUABDHR])\d{2}[0-9A-F]", device.name)
    return _CODENAMES.get(chip[1], Generation.UNKNOWN) if chip else Generation.UNKNOWN


def modules_for(generation: Generation) -> frozenset[Module]:
    """Return the kernel modules that support it. If both do, NVIDIA recommends the open one.

    The open one needs the GPU's system processor, which Turing introduced. Only the open one supports Grace Hopper
    and Blackwell.
    https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/kernel-modules.html,
    https://developer.nvidia.com/blog/nvidia-transitions-fully-towards-open-source-gpu-kernel-modules/
    """
    if generation in _BEFORE_TURING:
        return frozenset[Module]({"proprietary"})
    if generation in _OPEN_ONLY:
        return frozenset[Module]({"open"})
    return frozenset[Module]({"open", "proprietary"})


def newest_branch(generation: Generation) -> int | None:
    """Return the last driver branch that supports it; None if every newer one does, or if the generation is unknown.

    https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/ (CUDA 13 and drivers after 580 drop Maxwell, Pascal
    and Volta), https://packages.debian.org/bullseye/nvidia-kernel-source (Kepler: 470)
    """
    return _NEWEST.get(generation)


def oldest_branch(generation: Generation) -> int | None:
    """Return the first branch that supports a data center card of it; None if unknown or too old to matter.

    Some cards came later: HGX B200 with 570.133.20 (github.com/NVIDIA/cloud-native-docs, pull request 184). Each
    branch's release notes list its cards: https://docs.nvidia.com/datacenter/tesla/
    """
    return _OLDEST.get(generation)
