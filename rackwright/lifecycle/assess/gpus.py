"""What a host's GPUs and their driver lack."""

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
"""The driver branch that we propose: a long-lived one, and the last that serves Maxwell, Pascal and Volta."""
NARROW = 8
"""Lanes: with less, weights load slowly, and the GPUs of one replica wait for each other."""
_MANAGE = "say in the fleet file what becomes of it: driver: {manage: adopt}, replace or no"


def gpus_missing(hardware: Hardware, wanted: int | None) -> Iterator[Missing]:
    """Yield what its GPUs lack. `wanted`: how many its replicas need; None: nobody said."""
    report = hardware.report
    count = len(report.gpus) if report else len(hardware.nvidia)
    if wanted and count < wanted:
        what = f"{counted(count, 'GPU')}, and its replicas need {wanted}"
        yield Missing("gpus", Severity.BLOCKS, what, "place fewer replicas there, or plug in more GPUs")
    if not hardware.nvidia and not count and wanted is None:
        what = "no GPU of NVIDIA's: a gateway or control host, or small models on the processor"
        yield Missing("gpus", Severity.ADVISES, what, "place replicas there with gpus: 0 only")
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
    (_narrow, Severity.ADVISES, f"has less than {NARROW} lanes", "use a slot with more"),
    (
        lambda gpu: gpu.health.ecc is None,
        Severity.ADVISES,
        "a consumer's card: errors of its memory are neither corrected nor seen",
        "take cards for data centres where answers must be right",
    ),
    (
        lambda gpu: gpu.health.ecc is False,
        Severity.ADVISES,
        "could correct errors of its memory, and that is off",
        "nvidia-smi -e 1, then a reboot",
    ),
)
"""What may hold of a single GPU: how it is known, how bad it is, what it is, and what to do."""


def driver_missing(hardware: Hardware, driver: Driver | None) -> Iterator[Missing]:
    """Yield what stands between its GPUs and a driver that works. `driver`: what the fleet file says of it."""
    if not hardware.nvidia:
        return
    yield from _unserved(hardware)
    if hardware.report:
        yield from _there(hardware, hardware.report, driver)
    elif hardware.loaded or hardware.smi_error:
        said = hardware.smi_error or "nvidia-smi isn't there"
        what = f"module {hardware.loaded or 'of no version'} is loaded, and the driver doesn't answer: {said}"
        yield Missing("driver", Severity.WARNS, what, f"reboot it; if it stays so, {_MANAGE}")
    else:
        yield Missing("driver", Severity.WARNS, "no driver yet", _proposal(hardware, driver))
    yield from _prefetch(hardware)


def _there(hardware: Hardware, report: SmiReport, driver: Driver | None) -> Iterator[Missing]:
    """What is found is named, unless the fleet file has decided."""
    if driver is None:
        whose = "DGX OS's own driver" if hardware.dgx else "driver"
        severity = Severity.WARNS if hardware.dgx else Severity.ADVISES
        yield Missing("driver", severity, f"{whose} {report.driver} is there already", _MANAGE)
    elif driver.manage == "yes" and driver.branch and not f"{report.driver}.".startswith(f"{driver.branch}."):
        what = f"driver {report.driver} is there, and the fleet file asks for {driver.branch}"
        yield Missing("driver", Severity.ADVISES, what, "rackwright plan tells what apply does with it")


def _unserved(hardware: Hardware) -> Iterator[Missing]:
    kinds = tuple(dict.fromkeys(generation_of(device) for device in hardware.nvidia))
    for kind in kinds:
        if (newest := newest_branch(kind)) and newest < BRANCH:
            what = (
                f"GPUs of generation {kind.title()}: branch {newest} was the last to serve them, and isn't maintained"
            )
            yield Missing("driver", Severity.BLOCKS, what, "take them out; those from Turing on have years to go")
    if not _modules(hardware):
        what = "some of its GPUs need open modules, others proprietary ones: one driver can't serve both"
        yield Missing("driver", Severity.BLOCKS, what, "keep one of the kinds in this host")


def _modules(hardware: Hardware) -> str | None:
    """Return which kernel modules serve all of its GPUs, the open ones where both do; None: none do."""
    kinds = [modules_for(generation_of(device)) for device in hardware.nvidia]
    return next((modules for modules in ("open", "proprietary") if all(modules in kind for kind in kinds)), None)


def _proposal(hardware: Hardware, driver: Driver | None) -> str:
    if driver is None:
        wanted = f'driver: {{branch: "{BRANCH}", modules: {_modules(hardware) or "open"}}}'
        return f"{wanted} in the fleet file; rackwright lock and apply --reboot install it"
    if driver.installs:
        return f"rackwright lock and apply --reboot install {driver.branch}"
    return f"install one by hand: the fleet file says driver.manage: {driver.manage}"


def _prefetch(hardware: Hardware) -> Iterator[Missing]:
    if hardware.nouveau:
        what = "nouveau drives the GPUs: no engine can use them so"
        yield Missing("driver", Severity.WARNS, what, "rackwright apply puts it on the blacklist; a reboot follows")
    if hardware.secure_boot:
        what = "Secure Boot is on: a module that is built here loads only when its key is enrolled"
        do = "mokutil --import, confirmed at the console with the next boot; or turn Secure Boot off"
        yield Missing("driver", Severity.WARNS, what, do)
    # A driver tells of each GPU whether it joined the fabric: `findings` has it.
    gpus = hardware.report.gpus if hardware.report else ()
    if hardware.nvswitches and not any(gpu.fabric for gpu in gpus):
        what = f"{counted(len(hardware.nvswitches), 'NVSwitch', 'NVSwitches')}, and Fabric Manager doesn't run"
        do = "it has to be of the driver's very version; rackwright apply installs both as one set"
        yield Missing("driver", Severity.WARNS, what, do)
