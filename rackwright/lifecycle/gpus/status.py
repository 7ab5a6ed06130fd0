"""A host's GPUs as `status` shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.hardware.findings import Finding, findings, no_driver
from rackwright.hardware.gpus import Gpu
from rackwright.hardware.hardware import Hardware


@dataclass(frozen=True)
class GpuStatus:
    """One card, as its driver reports it."""

    host: str
    index: int
    name: str
    uuid: str
    memory: int
    """Bytes."""
    memory_used: int
    temperature: int | None
    """Degrees Celsius."""
    draw: float | None
    """Watts."""
    limit: float | None
    """Watts that it may draw."""
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        """`NVIDIA H100 80GB HBM3, 79.6 GiB (12.3 used), 41 °C, 250 of 700 W, ok`, or the findings instead of ok."""
        said = [self.name, f"{self.memory / 2**30:.1f} GiB ({self.memory_used / 2**30:.1f} used)"]
        if self.temperature is not None:
            said.append(f"{self.temperature} °C")
        if self.draw is not None:
            said.append(f"{self.draw:.0f} of {self.limit:.0f} W" if self.limit else f"{self.draw:.0f} W")
        return ", ".join(said) + ", " + ("; ".join(finding.what for finding in self.findings) or "ok")


def gpu_statuses(host: str, hardware: Hardware) -> Iterator[GpuStatus]:
    found = findings(hardware)
    for gpu in hardware.report.gpus if hardware.report else ():
        yield _status(host, gpu, tuple(each for each in found if each.gpu == gpu.index))


def driver_of(hardware: Hardware) -> str | None:
    """Return the driver, its CUDA and its module in words; None if no driver answers."""
    if hardware.report is None:
        return None
    module = f", {'open' if hardware.loaded_open else 'proprietary'} module" if hardware.loaded else ""
    return f"{hardware.report.driver}, CUDA {hardware.report.cuda}{module}"


def host_warnings(host: str, hardware: Hardware) -> Iterator[str]:
    """Yield each problem that doesn't belong to a single card, with what to do about it."""
    problem = no_driver(hardware)
    for finding in (*([problem] if problem else []), *findings(hardware)):
        if finding.gpu is None:
            yield f"{host}: {finding.what}" + (f"; next: {finding.next}" if finding.next else "")


def _status(host: str, gpu: Gpu, found: tuple[Finding, ...]) -> GpuStatus:
    return GpuStatus(
        host=host,
        index=gpu.index,
        name=gpu.name,
        uuid=gpu.uuid,
        memory=gpu.memory,
        memory_used=gpu.memory_used,
        temperature=gpu.temperature,
        draw=gpu.power.draw,
        limit=gpu.power.limit,
        findings=found,
    )
