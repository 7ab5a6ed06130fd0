"""GPUs as `nvidia-smi -q -x` reports them; `nvidia_smi.py` parses its output."""

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
    """The current limit."""
    default: float | None
    """The factory limit."""


@dataclass(frozen=True)
class MemoryHealth:
    """Errors and repairs of the card's memory; None: this card doesn't report it."""

    ecc: bool | None = None
    """Whether error correction is on."""
    uncorrected: int | None = None
    """Uncorrected errors since the driver was loaded."""
    uncorrected_ever: int | None = None
    retired_pages: int | None = None
    """Pages (before Ampere) or rows (since Ampere) that are no longer used."""
    pending: bool = False
    """Whether a page, row, channel or core will be retired at the next reset or boot."""
    failed: bool = False
    """Whether the card could not retire a bad row, and should be replaced."""


@dataclass(frozen=True)
class Gpu:
    index: int
    """nvidia-smi's number: in the order of PCI addresses."""
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
    """The most that card and slot support."""
    power: Power
    temperature: int | None
    """Degrees Celsius."""
    throttled: tuple[str, ...]
    """Why its clocks are throttled now: hw_thermal_slowdown, sw_power_cap, …; idle isn't a reason."""
    mig: bool | None
    """Whether it is divided into instances; None: this card can't be."""
    mig_devices: tuple[str, ...]
    """UUIDs of the instances: MIG-…"""
    fabric: str | None
    """State of the NVSwitch fabric: `Completed`, `In Progress`, …; None: it isn't part of one."""
    nvlinks: int | None = None
    """Number of active links to other GPUs; None: not reported."""
    fabric_status: str | None = None
    """How joining the fabric ended: `Success`, or an error; None: not reported."""
    recovery: str | None = None
    """The action that the driver requests: `GPU Reset`, `Node Reboot`, `Drain and Reset`, …; None: none/unknown."""


@dataclass(frozen=True)
class SmiReport:
    driver: str
    """Version of the module and the libraries, like 580.95.05."""
    cuda: str
    """The newest CUDA that this driver supports, like 13.0."""
    gpus: tuple[Gpu, ...]
