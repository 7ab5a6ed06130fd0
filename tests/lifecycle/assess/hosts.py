"""Hosts as an assessment sees them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rackwright.hardware.gpus import Gpu, Link, MemoryHealth, Power, SmiReport
from rackwright.hardware.hardware import Hardware
from rackwright.hardware.pci import PciDevice
from rackwright.lifecycle.assess.assessment import Assessed
from rackwright.lifecycle.assess.machine import Machine
from rackwright.lifecycle.assess.missing import Expected
from rackwright.lifecycle.assess.procedure import judge

H100, A10, V100, K80 = "2330", "2236", "1db1", "102d"
MACHINE = Machine(ecc=True, models_free=4 * 10**12, models_total=7 * 10**12, models_rotating=False, synchronised=True)


def pci(number: int, device: str = H100) -> PciDevice:
    return PciDevice(f"0000:{16 + number:02x}:00.0", "0302", "10de", device)


def gpu(index: int, **other: Any) -> Gpu:
    made = Gpu(
        index=index,
        name="NVIDIA H100 80GB HBM3",
        uuid=f"GPU-{index}",
        pci=pci(index).address,
        memory=80 * 10**9,
        memory_used=0,
        health=MemoryHealth(ecc=True),
        link=Link(1, 16),
        link_max=Link(5, 16),
        power=Power(70.0, 700.0, 700.0),
        temperature=30,
        throttled=(),
        mig=False,
        mig_devices=(),
        fabric=None,
    )
    return replace(made, **other)


def hardware(count: int = 2, *, device: str = H100, gpus: tuple[Gpu, ...] | None = None, **other: Any) -> Hardware:
    """A host that lacks nothing, with a driver that rackwright didn't install."""
    report = SmiReport("580.95.05", "13.0", tuple(map(gpu, range(count))) if gpus is None else gpus)
    made = Hardware(
        pci=tuple(pci(number, device) for number in range(count)),
        report=report,
        loaded="580.95.05",
        loaded_open=True,
        kernel="6.12.48+deb13-amd64",
        rdma=("mlx5_0",),
        memory=512 * 10**9,
        cpus=64,
        cpu_model="AMD EPYC 9354",
        system="debian 13",
        architecture="amd64",
        links=(("eno1", 25_000),),
    )
    return replace(made, **other)


def bare(count: int = 2, **other: Any) -> Hardware:
    """The same host without a driver."""
    return hardware(count, **({"report": None, "loaded": None} | other))


def assessed(hardware: Hardware, machine: Machine = MACHINE, **expected: Any) -> Assessed:
    return judge(Expected(**({"host": "gpu1", "address": "10.20.0.11"} | expected)), hardware, machine)
