"""GPUs as `nvidia-smi -q -x` reports them; `nvidia_smi.py` reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """A PCI Express link."""

    generation: int
    width: int
    """Lanes."""


@dataclass(frozen=True)
class Power:
    """Watts."""

    draw: float | None
    limit: float | None
    """What the card may draw now."""
    default: float | None
    """What it may draw as delivered."""


@dataclass(frozen=True)
class MemoryHealth:
    """What the card's memory has gone through; None: this card doesn't tell."""

    ecc: bool | None = None
    """Whether error correction is on."""
    uncorrected: int | None = None
    """Errors that couldn't be corrected, since the driver was loaded."""
    uncorrected_ever: int | None = None
    retired_pages: int | None = None
    """Pages (before Ampere) or rows (since) that are no longer used."""
    pending: bool = False
    """Whether a page, row, channel or core is taken out at the next reset or boot."""
    failed: bool = False
    """Whether the card could not take a bad row out: it should be replaced."""


@dataclass(frozen=True)
class Gpu:
    index: int
    """As nvidia-smi counts: in the order of PCI addresses."""
    name: str
    uuid: str
    """GPU-…"""
    pci: str
    """Like 0000:17:00.0, in lower case."""
    memory: int
    """Bytes."""
    memory_used: int
    health: MemoryHealth
    link: Link | None
    link_max: Link | None
    """What card and slot could do."""
    power: Power
    temperature: int | None
    """Degrees Celsius."""
    throttled: tuple[str, ...]
    """Why its clocks are held down now: hw_thermal_slowdown, sw_power_cap, …; being idle isn't among them."""
    mig: bool | None
    """Whether it is cut into instances; None: this card can't be."""
    mig_devices: tuple[str, ...]
    """UUIDs of the instances: MIG-…"""
    fabric: str | None
    """State of the NVSwitch fabric: `Completed`, `In Progress`, …; None: it isn't part of one."""
    nvlinks: int | None = None
    """Links to other GPUs that are up; None: not told."""
    fabric_status: str | None = None
    """How joining the fabric ended: `Success`, or an error; None: not told."""
    recovery: str | None = None
    """What the driver asks for: `GPU Reset`, `Node Reboot`, `Drain and Reset`, …; None: nothing, or it can't tell."""


@dataclass(frozen=True)
class SmiReport:
    driver: str
    """Of the module and the libraries, like 580.95.05."""
    cuda: str
    """The newest CUDA that this driver serves, like 13.0."""
    gpus: tuple[Gpu, ...]
