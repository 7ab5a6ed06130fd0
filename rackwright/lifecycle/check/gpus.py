"""What must hold of a host's GPUs and their driver before replicas go there."""

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
    """Given what a host's hardware is, return the conditions `gpu`, `driver` and `cuda`, and what is found wrong.

    None for a host that has no GPU of NVIDIA and whose replicas need none.
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
    """The lock names another driver than the one that runs."""
    if hardware.loaded:
        found = f"module {hardware.loaded} runs, the lock has {version}: it acts after a reboot"
        return Condition(host, "driver", State.WARNING, found, "rackwright apply --reboot")
    reboot = ", which then reboots: nouveau has the GPUs" if hardware.nouveau else ""
    found = f"none runs yet; apply installs {version}{reboot}"
    return Condition(host, "driver", State.WARNING, found, f"rackwright apply{' --reboot' if reboot else ''}")


def _count(host: str, hardware: Hardware, need: int) -> Condition:
    """MIG is left as it is: a replica has whole GPUs, so one that is cut doesn't count."""
    cards = hardware.report.gpus if hardware.report else ()
    cut = sum(1 for card in cards if card.mig)
    have = len(cards) - cut if cards else len(hardware.nvidia)
    needed = f"replicas need {need}"
    if have < need:
        found = f"{have} usable, {needed}" + (
            f"; {cut} more cut into MIG instances, which no replica can use" if cut else ""
        )
        return Condition(host, "gpu", State.FAILED, found, "place fewer replicas there")
    kinds = Counter(map(_kind, cards))
    found = "; ".join(f"{many} of {kind}" for kind, many in kinds.items()) or f"{have} plugged in"
    return Condition(host, "gpu", State.OK, f"{found}; {needed}" if need else found)


def _kind(card: Gpu) -> str:
    return f"{card.name}, {card.memory / 2**30:.1f} GiB"


def _cuda(spec: HostSpec, report: SmiReport | None) -> Iterator[Condition]:
    """Whether the driver serves what the runtimes were built with: the one that will run where it is known."""
    driver = (spec.driver and spec.driver.version) or (report and report.driver)
    if not driver:
        return
    newest = report.cuda if report and report.driver == driver else cuda_of(driver)
    for runtime in spec.runtimes:
        if wanted := runtime.settings.cuda:
            yield _served(spec.name, f"{runtime.settings.key} is built with {wanted}", driver, newest, wanted)


def _served(host: str, built: str, driver: str, newest: str, wanted: str) -> Condition:
    found = f"{built}, driver {driver} has {newest or 'no CUDA that is known'}"
    verdict = serves(driver, newest, wanted)
    if verdict is Verdict.YES:
        return Condition(host, "cuda", State.OK, found)
    if verdict is Verdict.MINOR:
        found += ": runs where the build has code for this very GPU; what must be compiled on it (PTX) fails"
        return Condition(host, "cuda", State.WARNING, found)
    after = "install a newer driver, or use a build with an older CUDA"
    return Condition(host, "cuda", State.FAILED, f"{found}: doesn't run", after)


def _found(host: str, finding: Finding) -> Condition:
    if finding.severity is Severity.NOTE:
        return Condition(host, "gpu", State.OK, str(finding))
    return Condition(host, "gpu", State.WARNING, str(finding), finding.next)
