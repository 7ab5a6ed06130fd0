"""Problems with a host's GPUs, and facts worth knowing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from rackwright.hardware.command import MOST_XIDS
from rackwright.hardware.gpus import Gpu
from rackwright.hardware.hardware import Hardware
from rackwright.hardware.xid import Cause, meaning

RESET = "drain the host, then reset the GPU (nvidia-smi --gpu-reset) or reboot"
REPLACE = "have the GPU replaced"
_SLOWED = {
    "hw_thermal_slowdown": "it is too hot",
    "sw_thermal_slowdown": "it is too hot",
    "hw_power_brake_slowdown": "the machine's power supply requests it",
    "hw_slowdown": "heat or the power supply",
}


class Severity(StrEnum):
    NOTE = "note"
    """Usually an application's error: the hardware is fine."""
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    gpu: int | None
    """Index of the GPU; None: it is about the host."""
    severity: Severity
    what: str
    next: str | None
    """What to do; None: nothing, or it depends on the situation."""

    def __str__(self) -> str:
        """Return the text for a line about the host: `GPU 2: …`."""
        return self.what if self.gpu is None else f"GPU {self.gpu}: {self.what}"


def findings(hardware: Hardware) -> tuple[Finding, ...]:
    """Return all findings: each GPU's in order, then the host's. Empty without a GPU or a driver.

    `no_driver` reports that no driver answers.
    """
    gpus = hardware.report.gpus if hardware.report else ()
    return (*(found for gpu in gpus for found in _gpu(gpu)), *_host(hardware, gpus), *_xids(hardware, gpus))


def no_driver(hardware: Hardware) -> Finding | None:
    """Return why NVIDIA's driver runs none of the installed GPUs; None if it does, or if there are none."""
    if hardware.report and hardware.report.gpus:
        return None
    if not hardware.nvidia and not hardware.smi_error:
        return None
    if hardware.smi_error and "version mismatch" in hardware.smi_error:
        what = f"libraries and loaded module ({hardware.loaded or 'unknown'}) differ: a reboot is pending"
        return _warn(None, f"{what}; nvidia-smi says: {hardware.smi_error}", "drain the host and reboot it")
    if hardware.nouveau and not hardware.loaded:
        return _warn(None, "nouveau is loaded instead of NVIDIA's driver", "install NVIDIA's driver and reboot")
    if hardware.smi_error:
        return _warn(
            None, f"nvidia-smi says: {hardware.smi_error}", "run journalctl -k -g NVRM on the host to see why"
        )
    if hardware.report:
        return _warn(
            None, "the driver answers, but reports no GPU", "run journalctl -k -g NVRM on the host to see why"
        )
    if hardware.loaded:
        return _warn(None, f"module {hardware.loaded} is loaded, nvidia-smi isn't installed", "install nvidia-smi")
    return _warn(None, "no driver is installed", "install NVIDIA's driver")


def _warn(gpu: int | None, what: str, after: str | None) -> Finding:
    return Finding(gpu, Severity.WARNING, what, after)


def _gpu(gpu: Gpu) -> Iterator[Finding]:
    yield from _memory(gpu)
    if gpu.recovery:
        yield _warn(gpu.index, f"the driver asks for: {gpu.recovery}", RESET)
    if gpu.link and gpu.link_max and gpu.link.width < gpu.link_max.width:
        what = f"PCI Express has {gpu.link.width} of {gpu.link_max.width} lanes"
        yield _warn(gpu.index, what, "have card, riser and slot inspected, unless the slot has no more lanes")
    # A busy card normally reaches sw_power_cap; these reasons aren't normal.
    if why := dict.fromkeys(_SLOWED[name] for name in _SLOWED if name in gpu.throttled):
        heat = "" if gpu.temperature is None else f" ({gpu.temperature} °C)"
        yield _warn(gpu.index, f"it is slowed down{heat}: {next(iter(why))}", "have cooling and power inspected")
    if gpu.power.limit and gpu.power.default and gpu.power.limit < gpu.power.default:
        what = f"its power limit is {gpu.power.limit:.0f} W, the default is {gpu.power.default:.0f} W"
        yield _warn(
            gpu.index, what, f"nvidia-smi -i {gpu.index} -pl {gpu.power.default:.0f}, unless this is intended"
        )
    if gpu.mig:
        count = len(gpu.mig_devices)
        instances = f"{count} instance{'' if count == 1 else 's'}"
        what = f"MIG is on, {instances}: rackwright leaves it on, and no replica can use this GPU"
        yield _warn(gpu.index, what, None)
    yield from _fabric(gpu)


def _memory(gpu: Gpu) -> Iterator[Finding]:
    health = gpu.health
    if health.failed:
        yield _warn(gpu.index, "it could not retire bad memory", REPLACE)
    if health.pending:
        yield _warn(gpu.index, "bad memory will be retired at the next reset", RESET)
    if health.uncorrected:
        many = "1 memory error" if health.uncorrected == 1 else f"{health.uncorrected} memory errors"
        yield _warn(gpu.index, f"{many} could not be corrected since the driver was loaded", RESET)


def _fabric(gpu: Gpu) -> Iterator[Finding]:
    after = "check nvidia-fabricmanager.service; it must have the driver's version"
    if gpu.fabric and gpu.fabric != "Completed":
        yield _warn(gpu.index, f"it has not joined the NVSwitch fabric: {gpu.fabric}", after)
    elif gpu.fabric and gpu.fabric_status not in (None, "Success"):
        yield _warn(gpu.index, f"it could not join the NVSwitch fabric: {gpu.fabric_status}", after)


def _host(hardware: Hardware, gpus: tuple[Gpu, ...]) -> Iterator[Finding]:
    for said in hardware.smi_warnings:
        yield _warn(None, f"nvidia-smi warns: {said}", None)
    answering = {gpu.pci for gpu in gpus}
    for device in hardware.nvidia if gpus else ():
        if device.address not in answering:
            yield _warn(
                None, f"the driver doesn't answer for the GPU at {device.address}", "drain the host and reboot"
            )
    kinds = Counter(f"{gpu.name}, {gpu.memory / 2**30:.1f} GiB" for gpu in gpus)
    if len(kinds) > 1:
        yield _warn(None, "GPUs differ: " + "; ".join(f"{many} of {kind}" for kind, many in kinds.items()), None)


def _xids(hardware: Hardware, gpus: tuple[Gpu, ...]) -> Iterator[Finding]:
    """Yield one finding per GPU and number, in order of occurrence. If the driver is the cause, add its text."""
    index = {gpu.pci: gpu.index for gpu in gpus}
    texts = {(xid.pci, xid.number): xid.text for xid in hardware.xids}
    for (pci, number), many in Counter((xid.pci, xid.number) for xid in hardware.xids).items():
        means = meaning(number)
        severity = Severity.NOTE if means.cause is Cause.APPLICATION else Severity.WARNING
        at = "" if pci in index else f" at {pci}"
        times = "" if many == 1 else f", {many} times" + (" or more" if many >= MOST_XIDS else "")
        what = f"Xid {number} since boot{times}{at}: {means.what}"
        if means.cause is Cause.DRIVER:
            what += f" ({texts[pci, number]})"
        yield Finding(index.get(pci), severity, what, means.next)
