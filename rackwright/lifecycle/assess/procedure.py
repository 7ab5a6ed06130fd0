"""Run one read-only script on each host, all at once, and assess the results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from rackwright.errors import HostError, HostKeyError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.sections.driver import Driver
from rackwright.hardware.hardware import COMMAND, Hardware, parse_hardware
from rackwright.lifecycle.assess.assessment import Assessed, Assessment
from rackwright.lifecycle.assess.facts import facts, figures
from rackwright.lifecycle.assess.machine import Machine, parse_machine, script
from rackwright.lifecycle.assess.missing import Expected, missing
from rackwright.lifecycle.assess.serving import verdicts, wanted_of, well_known
from rackwright.remote import Remote
from rackwright.remote.answers import UnreadableAnswer, read_answer
from rackwright.remote.batch import Batch
from rackwright.remote.completed import Completed, checked
from rackwright.values.network import host_address
from rackwright.values.targets import Target

_USER = "[A-Za-z_][A-Za-z0-9_.-]{0,31}"
TIMEOUT = 120
"""Seconds: nvidia-smi alone takes half a minute for eight GPUs without persistence mode."""


def expected_of(fleet: Fleet, host: str, lock: Lock | None = None) -> Expected:
    """Return what the fleet file expects of a host; with a lock, it also knows the models' shapes."""
    settings = fleet.file.hosts[host]
    with_gpus = {host for replica in fleet.replicas if replica.gpus for host in replica.hosts}
    return Expected(
        host=host,
        address=settings.address,
        models_at=settings.store.path,
        gpus=sum(replica.gpus for replica in fleet.parts_on(host)),
        debian_only=host in fleet.gateways or host in fleet.control,
        driver=_driver_of(fleet, host),
        clock_managed=settings.baseline.decided().time_sync.manage == "yes",
        one_of_several=len(with_gpus) > 1 and host in with_gpus,
        models=wanted_of(fleet, lock, host),
    )


def _driver_of(fleet: Fleet, host: str) -> Driver | None:
    """Return the host's driver section, even one with `manage: no`."""
    left_alone = (driver for driver in fleet.file.drivers if driver.manage == "no" and host in _hosts(fleet, driver))
    return fleet.driver_of(host) or next(left_alone, None)


def _hosts(fleet: Fleet, driver: Driver) -> tuple[str, ...]:
    return fleet.hosts if driver.on is None else fleet.named(driver.on)


def stranger(written: str) -> Target:
    """Given [USER@]ADDRESS[:PORT] of a host that is in no fleet file, return how to reach it.

    Its key must be in ~/.ssh/known_hosts. Raise UsageError if the text has another form.
    """
    if written == "@local":
        return Target(name="local", address=written)
    user, _, place = written.rpartition("@")
    address, port = _split(place)
    if not re.fullmatch(_USER, user or "root") or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError("isn't a host", where=f"--host {written}", should="should be like ops@10.20.0.11")
    try:
        return Target(name=place, address=host_address(address), user=user or "root", port=int(port))
    except ValueError as error:
        raise UsageError("isn't a host", where=f"--host {written}", should=str(error)) from None


def expected_of_stranger(target: Target, *, one_of_several: bool) -> Expected:
    """Return what a host that is in no fleet file is expected to have, so that it can serve."""
    port = "" if target.port == 22 else f"-p {target.port} "
    return Expected(
        host=target.name,
        address=target.address,
        trust=f"ssh {port}{target.user}@{target.address}",
        one_of_several=one_of_several,
    )


def _split(place: str) -> tuple[str, str]:
    if place.startswith("["):
        address, _, port = place[1:].partition("]")
        return address, port.removeprefix(":") or "22"
    address, colon, port = place.rpartition(":")
    return (address, port) if colon and ":" not in address else (place, "22")


def assess(remote: Remote, expected: Mapping[str, Expected]) -> Assessment:
    """Assess all hosts of `expected` (by name) over these connections; change nothing."""
    batches = {name: Batch.of((COMMAND, script(host.models_at))) for name, host in expected.items()}
    scripts = {name: batch.script for name, batch in batches.items()}
    answers = checked(remote.run_on(tuple(expected), scripts, timeout=TIMEOUT), "reading the machine's facts")
    return Assessment.of(tuple(_assessed(expected[name], answer, batches[name]) for name, answer in answers.items()))


def _assessed(expected: Expected, answer: Completed | HostError, batch: Batch) -> Assessed:
    if isinstance(answer, HostError):
        problem = answer.problems[0]
        if isinstance(answer, HostKeyError) and expected.trust:
            problem = replace(problem, next=expected.trust)
        return Assessed(expected.host, expected.address, unreachable=problem.line())
    parts = [part.stdout for part in batch.whole(answer.stdout_bytes)]
    if len(parts) < batch.count:
        return Assessed(expected.host, expected.address, unreachable="its answer is incomplete")
    try:
        return read_answer(expected.host, "reading the machine's facts", _read, expected, *parts)
    except UnreadableAnswer as error:
        return Assessed(expected.host, expected.address, unreachable=error.problems[0].line())


def _read(expected: Expected, hardware: str, machine: str) -> Assessed:
    return judge(expected, parse_hardware(hardware), parse_machine(machine))


def judge(expected: Expected, hardware: Hardware, machine: Machine) -> Assessed:
    """Given what a host is expected to have and what it has, return its assessment."""
    return Assessed(
        host=expected.host,
        address=expected.address,
        figures=figures(hardware, machine),
        facts=tuple(facts(hardware, machine, expected.models_at)),
        missing=missing(expected, hardware, machine),
        models=tuple(verdicts(expected.models, hardware)),
        known=well_known(expected.models, hardware, stranger=expected.gpus is None),
    )
