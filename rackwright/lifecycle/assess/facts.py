"""Describe what a host has, in words, by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rackwright.hardware.generation import generation_of
from rackwright.hardware.gpus import Gpu, SmiReport
from rackwright.hardware.hardware import Hardware
from rackwright.lifecycle.assess.assessment import Fact, Figures
from rackwright.lifecycle.assess.machine import Machine
from rackwright.report.words import counted, size


def figures(hardware: Hardware, machine: Machine) -> Figures:
    gpus = hardware.report.gpus if hardware.report else ()
    limits = [gpu.power.limit for gpu in gpus if gpu.power.limit]
    return Figures(
        cpus=hardware.cpus,
        memory=hardware.memory,
        gpus=max(len(gpus), len(hardware.nvidia)),
        gpu_memory=sum(gpu.memory for gpu in gpus) if gpus else None,
        gpu_watts=sum(limits) if limits else None,
        watts=machine.watts,
        disk_free=machine.models_free,
        link=max((speed for _, speed in hardware.links), default=0),
    )


def facts(hardware: Hardware, machine: Machine, models_at: str) -> Iterator[Fact]:
    """Yield the facts that are known; unknown ones are left out if their absence means nothing."""
    yield from _machine(hardware, machine)
    yield from _gpus(hardware)
    yield from _driver(hardware)
    yield from _memory(hardware, machine)
    yield from _disk(machine, models_at)
    yield from _network(hardware)
    yield from _power(hardware, machine)


def _machine(hardware: Hardware, machine: Machine) -> Iterator[Fact]:
    if hardware.vendor:
        yield Fact("machine", "model", hardware.vendor)
    if machine.virtual:
        yield Fact("machine", "virtual", machine.virtual)
    yield Fact("machine", "system", f"{_system(hardware.system)}, kernel {hardware.kernel}, {hardware.architecture}")
    yield Fact("machine", "processor", f"{hardware.cpu_model or 'unknown'}, {counted(hardware.cpus, 'thread')}")
    if len(hardware.numa) > 1:
        yield Fact("machine", "NUMA", f"{len(hardware.numa)} nodes")
    if machine.synchronised is not None:
        yield Fact("machine", "clock", "synchronized" if machine.synchronised else "not synchronized")


def _system(release: str) -> str:
    identity, _, version = release.partition(" ")
    return f"{identity.capitalize()} {version}".strip() or "unknown system"


def _gpus(hardware: Hardware) -> Iterator[Fact]:
    if hardware.report:
        yield from _reported(hardware.report)
    elif hardware.nvidia:
        names = Counter(device.name or f"NVIDIA {device.device}" for device in hardware.nvidia)
        yield Fact("gpus", "plugged in", ", ".join(f"{number} x {name}" for name, number in names.items()))
    else:
        yield Fact("gpus", "plugged in", "none from NVIDIA")
    if hardware.nvidia:
        names = Counter(generation_of(device).title() for device in hardware.nvidia)
        yield Fact("gpus", "generation", ", ".join(names))
    if hardware.nvswitches:
        yield Fact("gpus", "NVSwitches", str(len(hardware.nvswitches)))


def _reported(report: SmiReport) -> Iterator[Fact]:
    names = Counter((gpu.name, gpu.memory) for gpu in report.gpus)
    listed = (f"{number} x {name}, {size(memory)} each" for (name, memory), number in names.items())
    yield Fact("gpus", "GPUs", "; ".join(listed) or "the driver sees none")
    if len(report.gpus) > 1:
        yield Fact("gpus", "total memory", size(sum(gpu.memory for gpu in report.gpus)))
    if links := Counter(_link(gpu) for gpu in report.gpus if gpu.link_max):
        yield Fact("gpus", "PCI Express", ", ".join(f"{number} x {text}" for text, number in links.items()))
    if nvlinks := [gpu.nvlinks for gpu in report.gpus if gpu.nvlinks]:
        yield Fact("gpus", "NVLinks", f"{min(nvlinks)} per GPU")


def _link(gpu: Gpu) -> str:
    return f"generation {gpu.link_max.generation} x{gpu.link_max.width}" if gpu.link_max else ""


def _driver(hardware: Hardware) -> Iterator[Fact]:
    if hardware.report:
        yield Fact("driver", "version", f"{hardware.report.driver}, for CUDA up to {hardware.report.cuda}")
    if hardware.loaded:
        kind = "open" if hardware.loaded_open else "proprietary"
        yield Fact("driver", "modules", f"{kind} {hardware.loaded}")
    elif hardware.nvidia and not hardware.report:
        yield Fact("driver", "modules", "nouveau" if hardware.nouveau else "none loaded")
    if hardware.secure_boot is not None and hardware.nvidia:
        yield Fact("driver", "Secure Boot", "on" if hardware.secure_boot else "off")


def _memory(hardware: Hardware, machine: Machine) -> Iterator[Fact]:
    yield Fact("memory", "size", size(hardware.memory))
    if machine.ecc is not None:
        yield Fact("memory", "error correction", "yes" if machine.ecc else "no")
    if machine.swap:
        yield Fact("memory", "swap", size(machine.swap))


def _disk(machine: Machine, models_at: str) -> Iterator[Fact]:
    yield Fact("disk", models_at, f"{size(machine.models_free)} free of {size(machine.models_total)}")
    for drive in machine.drives:
        yield Fact("disk", drive.name, f"{size(drive.bytes)} {drive.kind} {drive.model}".rstrip())


def _network(hardware: Hardware) -> Iterator[Fact]:
    for name, speed in hardware.links:
        yield Fact("network", name, f"{speed / 1000:g} Gbit/s" if speed > 0 else "up, speed unknown")
    if hardware.rdma:
        yield Fact("network", "RDMA", ", ".join(hardware.rdma))


def _power(hardware: Hardware, machine: Machine) -> Iterator[Fact]:
    sizes = figures(hardware, machine)
    if sizes.watts:
        yield Fact("power", "drawn now", f"{sizes.watts} W")
    if sizes.gpu_watts:
        yield Fact("power", "limit of all GPUs", f"{sizes.gpu_watts:.0f} W")
    if not (sizes.watts or sizes.gpu_watts):
        yield Fact("power", "drawn now", "unknown (no ipmitool, or no management controller)")
