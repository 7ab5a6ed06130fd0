"""Find everything that a host lacks; `gpus.py` checks GPUs and their driver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.fleet.sections.driver import Driver
from rackwright.hardware.hardware import Hardware
from rackwright.lifecycle.assess.assessment import Missing, Severity
from rackwright.lifecycle.assess.facts import figures
from rackwright.lifecycle.assess.gpus import driver_missing, gpus_missing
from rackwright.lifecycle.assess.machine import Machine
from rackwright.lifecycle.assess.serving import Wanted
from rackwright.report.words import size

SLOW_LINK = 10_000
"""Megabits per second: 140 GB of weights take two minutes at this speed, and twenty at a tenth of it."""
SMALLEST_ROOM = 20 * 10**9
"""Bytes for runtimes, packages, logs and one small model."""
VERSIONS = 2
"""Versions of each model on the disk: the running one and the previous one, which `rollback` needs."""


@dataclass(frozen=True)
class Expected:
    """What a host is expected to have."""

    host: str
    address: str
    models_at: str = "/srv/models"
    gpus: int | None = None
    """GPUs that its replicas need together; None: it is in no fleet file."""
    debian_only: bool = False
    """True for gateways and control hosts."""
    driver: Driver | None = None
    """The driver's section in the fleet file; None: there is none."""
    trust: str | None = None
    """The command that pins its key; None: `rackwright trust`."""
    clock_managed: bool = True
    """Whether an apply would set up its clock."""
    one_of_several: bool = False
    """Whether other hosts have GPUs, too."""
    models: tuple[Wanted, ...] = ()
    """All models of the fleet, wherever they are placed."""


def missing(expected: Expected, hardware: Hardware, machine: Machine) -> tuple[Missing, ...]:
    """Return what the host lacks, the worst first."""
    found = (
        *_system(expected, hardware, machine),
        *gpus_missing(hardware, expected.gpus),
        *driver_missing(hardware, expected.driver),
        *_memory(hardware, machine),
        *_disk(expected, hardware, machine),
        *_network(expected, hardware),
        *_power(machine),
    )
    return tuple(sorted(found, key=lambda one: list(Severity).index(one.severity)))


def _system(expected: Expected, hardware: Hardware, machine: Machine) -> Iterator[Missing]:
    if hardware.architecture != "amd64":
        what = f"its architecture is {hardware.architecture or 'unknown'}: drivers and runtimes exist for amd64 only"
        yield Missing("machine", Severity.BLOCKS, what, "use a machine with an AMD or Intel processor")
    if not machine.systemd:
        yield Missing("machine", Severity.BLOCKS, "it doesn't run systemd", "install Debian 13")
    yield from _release(expected, hardware)
    if machine.container and hardware.nvidia:
        what = f"it is a container ({machine.virtual}): only its outer host can load kernel modules"
        yield Missing("machine", Severity.WARNS, what, "use the outer host instead, or install the driver there")
    if machine.synchronised is False:
        what = "its clock isn't synchronized: certificates and leases depend on it"
        chrony = "rackwright apply: sets up chrony, which must reach NTP servers"
        own = "synchronize it as you do elsewhere: the fleet file has time_sync.manage: no"
        yield Missing("machine", Severity.ADVISES, what, chrony if expected.clock_managed else own)


def _release(expected: Expected, hardware: Hardware) -> Iterator[Missing]:
    system = hardware.system
    if hardware.dgx or system == "debian 13":
        return
    if system == "ubuntu 24.04" and not expected.debian_only:
        what = "Ubuntu 24.04 should work on serving hosts, but is untested; gateways and control hosts need Debian 13"
        yield Missing("machine", Severity.WARNS, what, "install Debian 13, or try it on one host first")
        return
    needs = "gateways and control hosts need Debian 13" if expected.debian_only else "Debian 13 or Ubuntu 24.04"
    what = f"runs {system or 'an unknown system'}; should be {needs}"
    yield Missing("machine", Severity.BLOCKS, what, "install Debian 13")


def _memory(hardware: Hardware, machine: Machine) -> Iterator[Missing]:
    of_gpus = figures(hardware, machine).gpu_memory
    if of_gpus and hardware.memory < of_gpus:
        what = (
            f"{size(hardware.memory)} of memory, less than the GPUs' {size(of_gpus)}: weights are loaded through it"
        )
        yield Missing("memory", Severity.WARNS, what, "add memory, at least as much as the GPUs have")
    if machine.ecc is False:
        what = "its memory has no error correction: a flipped bit can change answers unnoticed"
        yield Missing("memory", Severity.ADVISES, what, "use ECC modules if the mainboard supports them")
    if machine.swap:
        what = f"{size(machine.swap)} of swap: prompts in an engine's memory can be written to the disk"
        yield Missing("memory", Severity.ADVISES, what, "swapoff -a, and remove it from /etc/fstab")


def _disk(expected: Expected, hardware: Hardware, machine: Machine) -> Iterator[Missing]:
    free, at = machine.models_free, expected.models_at
    serves = expected.gpus is None or expected.gpus > 0 or bool(hardware.nvidia)
    if free < SMALLEST_ROOM:
        what = f"{size(free)} free at {at}; runtimes, packages and a small model need {size(SMALLEST_ROOM)}"
        severity = Severity.BLOCKS if serves else Severity.ADVISES
        yield Missing("disk", severity, what, "mount a larger disk there, or set models_at")
        return
    of_gpus = figures(hardware, machine).gpu_memory or 0
    room = VERSIONS * of_gpus + SMALLEST_ROOM
    if free < room:
        what = f"{size(free)} free at {at}; models that fill its GPUs need {size(room)}, with their previous versions"
        yield Missing("disk", Severity.WARNS, what, "mount a larger disk there, or place smaller models")
    if machine.models_rotating and hardware.nvidia:
        what = f"{at} is on a rotating disk: a large model takes ten minutes or more to load"
        yield Missing("disk", Severity.WARNS, what, "put models_at on an NVMe disk")


def _network(expected: Expected, hardware: Hardware) -> Iterator[Missing]:
    fastest = max((speed for _, speed in hardware.links), default=0)
    if hardware.nvidia and 0 < fastest < SLOW_LINK:
        what = f"its fastest link has {fastest / 1000:g} Gbit/s: 140 GB of weights take {_minutes(fastest)} minutes"
        yield Missing("network", Severity.WARNS, what, f"use a link with {SLOW_LINK / 1000:g} Gbit/s or more")
    if hardware.nvidia and expected.one_of_several and not hardware.rdma:
        what = "no RDMA: a replica that spans several hosts would be slow"
        yield Missing("network", Severity.ADVISES, what, "add InfiniBand or RoCE cards if a model is to span hosts")


def _minutes(megabits: int) -> int:
    return round(140e9 * 8 / (megabits * 1e6) / 60)


def _power(machine: Machine) -> Iterator[Missing]:
    for supply in machine.supplies_failed:
        yield Missing("power", Severity.WARNS, f"power supply {supply}", "check its cable and the supply")
