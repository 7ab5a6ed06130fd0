"""What is wrong, or worth knowing, with a host's GPUs."""

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
    "hw_power_brake_slowdown": "the machine's power supply asks for it",
    "hw_slowdown": "heat or power supply ask for it",
}


class Severity(StrEnum):
    NOTE = "note"
    """An application's fault, as a rule: nothing is wrong with the hardware."""
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    gpu: int | None
    """Index of the GPU; None: it is about the host."""
    severity: Severity
    what: str
    next: str | None
    """What to do; None: nothing, or it depends."""

    def __str__(self) -> str:
        """What stands in a line on the host: `GPU 2: …`."""
        return self.what if self.gpu is None else f"GPU {self.gpu}: {self.what}"


def findings(hardware: Hardware) -> tuple[Finding, ...]:
    """Return all that is found, each GPU's in order, then the host's; empty where there is no GPU or no driver.

    That no driver answers is `no_driver`'s.
    """
    gpus = hardware.report.gpus if hardware.report else ()
    return (*(found for gpu in gpus for found in _gpu(gpu)), *_host(hardware, gpus), *_xids(hardware, gpus))


def no_driver(hardware: Hardware) -> Finding | None:
    """Return why NVIDIA's driver serves none of the GPUs that are plugged in; None: it does, or there is none."""
    if hardware.report and hardware.report.gpus:
        return None
    if not hardware.nvidia and not hardware.smi_error:
        return None
    if hardware.smi_error and "version mismatch" in hardware.smi_error:
        what = f"libraries and loaded module ({hardware.loaded or 'unknown'}) differ: a reboot is pending"
        return _warn(None, f"{what}; nvidia-smi says: {hardware.smi_error}", "drain the host and reboot it")
    if hardware.nouveau and not hardware.loaded:
        return _warn(None, "nouveau is loaded in place of NVIDIA's driver", "install NVIDIA's driver and reboot")
    if hardware.smi_error:
        return _warn(None, f"nvidia-smi says: {hardware.smi_error}", "journalctl -k -g NVRM on the host says why")
    if hardware.report:
        return _warn(None, "the driver answers, but for no GPU", "journalctl -k -g NVRM on the host says why")
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
        yield _warn(gpu.index, what, "have card, riser and slot looked at, unless the slot has no more")
    # sw_power_cap is what a busy card reaches; these are not.
    if why := dict.fromkeys(_SLOWED[name] for name in _SLOWED if name in gpu.throttled):
        heat = "" if gpu.temperature is None else f" ({gpu.temperature} °C)"
        yield _warn(gpu.index, f"it is slowed down{heat}: {next(iter(why))}", "have cooling and power looked at")
    if gpu.power.limit and gpu.power.default and gpu.power.limit < gpu.power.default:
        what = f"it may draw {gpu.power.limit:.0f} W only, {gpu.power.default:.0f} W as delivered"
        yield _warn(gpu.index, what, f"nvidia-smi -i {gpu.index} -pl {gpu.power.default:.0f}, unless that is meant")
    if gpu.mig:
        count = len(gpu.mig_devices)
        what = f"MIG is on, {count} instance{'' if count == 1 else 's'}: it stays so, and no replica can use it"
        yield _warn(gpu.index, what, None)
    yield from _fabric(gpu)


def _memory(gpu: Gpu) -> Iterator[Finding]:
    health = gpu.health
    if health.failed:
        yield _warn(gpu.index, "it could not take bad memory out", REPLACE)
    if health.pending:
        yield _warn(gpu.index, "bad memory is taken out at the next reset", RESET)
    if health.uncorrected:
        many = "1 memory error" if health.uncorrected == 1 else f"{health.uncorrected} memory errors"
        yield _warn(gpu.index, f"{many} could not be corrected since the driver was loaded", RESET)


def _fabric(gpu: Gpu) -> Iterator[Finding]:
    after = "look at nvidia-fabricmanager.service; its version must be the driver's"
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
    """One for each GPU and number, in the order of the first; in the driver's own words where that is at fault."""
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
