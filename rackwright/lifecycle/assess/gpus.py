"""Find problems of a host's GPUs and their driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rackwright.fleet.sections.driver import Driver
from rackwright.hardware.findings import REPLACE, Finding, findings
from rackwright.hardware.findings import Severity as FindingSeverity
from rackwright.hardware.generation import generation_of, modules_for, newest_branch
from rackwright.hardware.gpus import Gpu, SmiReport
from rackwright.hardware.hardware import Hardware
from rackwright.lifecycle.assess.assessment import Missing, Severity
from rackwright.report.words import counted

BRANCH = 580
"""The driver branch that is proposed: long-lived, and the last that supports Maxwell, Pascal and Volta."""
NARROW = 8
"""Lanes: with fewer, weights load slowly, and the GPUs of one replica wait for each other."""
_MANAGE = "set in the fleet file what happens to it: driver: {manage: adopt}, replace or no"


def gpus_missing(hardware: Hardware, wanted: int | None) -> Iterator[Missing]:
    """Yield problems of its GPUs. `wanted`: how many GPUs its replicas need; None: not known."""
    report = hardware.report
    count = len(report.gpus) if report else len(hardware.nvidia)
    if wanted and count < wanted:
        what = f"{counted(count, 'GPU')}, but its replicas need {wanted}"
        yield Missing("gpus", Severity.BLOCKS, what, "place fewer replicas there, or add GPUs")
    if not hardware.nvidia and not count and wanted is None:
        what = "no NVIDIA GPU: usable as a gateway or control host, or for small models on the CPU"
        yield Missing("gpus", Severity.ADVISES, what, "place only replicas with gpus: 0 on it")
    for finding in findings(hardware):
        yield Missing("gpus", _severity(finding), str(finding), finding.next)
    if report:
        yield from _of_each(report)


def _severity(finding: Finding) -> Severity:
    if finding.next == REPLACE:
        return Severity.BLOCKS
    return Severity.ADVISES if finding.severity is FindingSeverity.NOTE else Severity.WARNS


def _of_each(report: SmiReport) -> Iterator[Missing]:
    for holds, severity, what, do in _EACH:
        if indexes := [str(gpu.index) for gpu in report.gpus if holds(gpu)]:
            named = f"GPU {indexes[0]}" if len(indexes) == 1 else f"GPUs {', '.join(indexes)}"
            yield Missing("gpus", severity, f"{named}: {what}", do)


def _narrow(gpu: Gpu) -> bool:
    return bool(gpu.link_max and gpu.link_max.width < NARROW)


_EACH: tuple[tuple[Callable[[Gpu], bool], Severity, str, str], ...] = (
    (_narrow, Severity.ADVISES, f"has fewer than {NARROW} lanes", "use a slot with more lanes"),
    (
        lambda gpu: gpu.health.ecc is None,
        Severity.ADVISES,
        "a consumer card: memory errors are neither corrected nor detected",
        "use data center cards if answers must be correct",
    ),
    (
        lambda gpu: gpu.health.ecc is False,
        Severity.ADVISES,
        "could correct memory errors, but ECC is off",
        "nvidia-smi -e 1, then reboot the host",
    ),
)
"""Possible problems of a single GPU: test, severity, what is wrong, and what to do."""


def driver_missing(hardware: Hardware, driver: Driver | None) -> Iterator[Missing]:
    """Yield what its GPUs lack for a working driver. `driver`: the driver's section in the fleet file."""
    if not hardware.nvidia:
        return
    yield from _unserved(hardware)
    if hardware.report:
        yield from _there(hardware, hardware.report, driver)
    elif hardware.loaded or hardware.smi_error:
        said = hardware.smi_error or "nvidia-smi is missing"
        what = f"module {hardware.loaded or 'without a version'} is loaded, but the driver doesn't answer: {said}"
        yield Missing("driver", Severity.WARNS, what, f"reboot it; if that doesn't help, {_MANAGE}")
    else:
        yield Missing("driver", Severity.WARNS, "no driver yet", _proposal(hardware, driver))
    yield from _obstacles(hardware)


def _there(hardware: Hardware, report: SmiReport, driver: Driver | None) -> Iterator[Missing]:
    """Report a driver that is installed already, unless the fleet file says what to do with it."""
    if driver is None:
        kind = "DGX OS's own driver" if hardware.dgx else "driver"
        severity = Severity.WARNS if hardware.dgx else Severity.ADVISES
        yield Missing("driver", severity, f"{kind} {report.driver} is installed already", _MANAGE)
    elif driver.manage == "yes" and driver.branch and not f"{report.driver}.".startswith(f"{driver.branch}."):
        what = f"driver {report.driver} is installed, but the fleet file asks for branch {driver.branch}"
        yield Missing("driver", Severity.ADVISES, what, "rackwright plan shows what apply will do")


def _unserved(hardware: Hardware) -> Iterator[Missing]:
    kinds = tuple(dict.fromkeys(generation_of(device) for device in hardware.nvidia))
    for kind in kinds:
        if (newest := newest_branch(kind)) and newest < BRANCH:
            what = f"{kind.title()} GPUs: branch {newest} was the last to support them, and is no longer maintained"
            yield Missing("driver", Severity.BLOCKS, what, "use GPUs from Turing on")
    if not _modules(hardware):
        what = "some of its GPUs need open kernel modules, others proprietary ones: no driver supports both"
        yield Missing("driver", Severity.BLOCKS, what, "keep only one of the two kinds in this host")


def _modules(hardware: Hardware) -> str | None:
    """Return which kernel modules support all of its GPUs, "open" if both do, None if neither does."""
    kinds = [modules_for(generation_of(device)) for device in hardware.nvidia]
    return next((modules for modules in ("open", "proprietary") if all(modules in kind for kind in kinds)), None)


def _proposal(hardware: Hardware, driver: Driver | None) -> str:
    if driver is None:
        wanted = f'driver: {{branch: "{BRANCH}", modules: {_modules(hardware) or "open"}}}'
        return f"set {wanted} in the fleet file; then rackwright lock and rackwright apply --reboot"
    if driver.installs:
        return f"rackwright lock, then rackwright apply --reboot: installs branch {driver.branch}"
    return f"install one manually: the fleet file has driver.manage: {driver.manage}"


def _obstacles(hardware: Hardware) -> Iterator[Missing]:
    if hardware.nouveau:
        what = "the GPUs use the nouveau driver, which no engine supports"
        yield Missing("driver", Severity.WARNS, what, "rackwright apply --reboot: disables nouveau")
    if hardware.secure_boot:
        what = "Secure Boot is on: modules that are built on this host load only after their key is enrolled"
        do = "mokutil --import, then confirm at the console during the next boot; or turn Secure Boot off"
        yield Missing("driver", Severity.WARNS, what, do)
    # If the driver reports the fabric's state of each GPU, `findings` covers it.
    gpus = hardware.report.gpus if hardware.report else ()
    if hardware.nvswitches and not any(gpu.fabric for gpu in gpus):
        what = f"{counted(len(hardware.nvswitches), 'NVSwitch', 'NVSwitches')}, but Fabric Manager doesn't run"
        do = "rackwright apply: installs the driver and Fabric Manager in the same version, as it must be"
        yield Missing("driver", Severity.WARNS, what, do)
