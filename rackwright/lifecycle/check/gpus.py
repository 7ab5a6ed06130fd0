"""Requirements for a host's GPUs and driver before replicas are placed there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rackwright.hardware.cuda import Verdict, cuda_of, serves
from rackwright.hardware.findings import Finding, Severity, findings, no_driver
from rackwright.hardware.gpus import Gpu, SmiReport
from rackwright.hardware.hardware import Hardware
from rackwright.lifecycle.check.result import Condition, State
from rackwright.lifecycle.gpus.status import driver_of

if TYPE_CHECKING:
    from rackwright.fleet.hosts.host_spec import HostSpec


def judge_gpus(spec: HostSpec, hardware: Hardware) -> Iterator[Condition]:
    """Given a host's hardware, yield the conditions `gpu`, `driver` and `cuda`, and every problem found.

    Yield nothing for a host that has no NVIDIA GPU and whose replicas need none.
    """
    need = sum(replica.gpus for replica in spec.replicas)
    problem = no_driver(hardware)
    if not (need or hardware.nvidia or hardware.report or problem):
        return
    yield _count(spec.name, hardware, need)
    if (ours := spec.driver) and ours.version and ours.version != hardware.loaded:
        yield _to_come(spec.name, ours.version, hardware)
    elif problem:
        yield Condition(spec.name, "driver", State.FAILED if need else State.WARNING, problem.what, problem.next)
    elif hardware.report:
        yield Condition(spec.name, "driver", State.OK, driver_of(hardware) or "")
    if need:
        yield from _cuda(spec, hardware.report)
    yield from (_found(spec.name, finding) for finding in findings(hardware))


def _to_come(host: str, version: str, hardware: Hardware) -> Condition:
    """Return the condition for a driver in the lock that isn't running yet."""
    if hardware.loaded:
        found = f"module {hardware.loaded} is loaded; the lock has {version}, which takes effect after a reboot"
        return Condition(host, "driver", State.WARNING, found, "rackwright apply --reboot")
    reboot = ", then reboots because nouveau uses the GPUs" if hardware.nouveau else ""
    found = f"no driver runs yet; apply installs {version}{reboot}"
    return Condition(host, "driver", State.WARNING, found, f"rackwright apply{' --reboot' if reboot else ''}")


def _count(host: str, hardware: Hardware, need: int) -> Condition:
    """Count the usable GPUs. Replicas need whole GPUs, so one that is split into MIG instances doesn't count."""
    cards = hardware.report.gpus if hardware.report else ()
    cut = sum(1 for card in cards if card.mig)
    have = len(cards) - cut if cards else len(hardware.nvidia)
    needed = f"replicas need {need}"
    if have < need:
        found = f"{have} usable, {needed}" + (
            f"; {cut} more split into MIG instances, which no replica can use" if cut else ""
        )
        return Condition(host, "gpu", State.FAILED, found, "place fewer replicas there")
    kinds = Counter(map(_kind, cards))
    found = "; ".join(f"{many} x {kind}" for kind, many in kinds.items()) or f"{have} plugged in"
    return Condition(host, "gpu", State.OK, f"{found}; {needed}" if need else found)


def _kind(card: Gpu) -> str:
    return f"{card.name}, {card.memory / 2**30:.1f} GiB"


def _cuda(spec: HostSpec, report: SmiReport | None) -> Iterator[Condition]:
    """Judge the builds' CUDA versions by the driver in the lock, or by the running one if the lock has none."""
    driver = (spec.driver and spec.driver.version) or (report and report.driver)
    if not driver:
        return
    newest = report.cuda if report and report.driver == driver else cuda_of(driver)
    for runtime in spec.runtimes:
        if wanted := runtime.settings.cuda:
            yield _served(spec.name, f"{runtime.settings.key} is built with {wanted}", driver, newest, wanted)


def _served(host: str, built: str, driver: str, newest: str, wanted: str) -> Condition:
    found = f"{built}, driver {driver} has {newest or 'an unknown CUDA version'}"
    verdict = serves(driver, newest, wanted)
    if verdict is Verdict.YES:
        return Condition(host, "cuda", State.OK, found)
    if verdict is Verdict.MINOR:
        found += ": runs only if the build has code for this very GPU; code to be compiled on it (PTX) fails"
        return Condition(host, "cuda", State.WARNING, found)
    remedy = "install a newer driver, or use a build with an older CUDA"
    return Condition(host, "cuda", State.FAILED, f"{found}: doesn't run", remedy)


def _found(host: str, finding: Finding) -> Condition:
    if finding.severity is Severity.NOTE:
        return Condition(host, "gpu", State.OK, str(finding))
    return Condition(host, "gpu", State.WARNING, str(finding), finding.next)
