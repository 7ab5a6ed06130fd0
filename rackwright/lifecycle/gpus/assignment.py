"""The replicas' GPUs: whether each engine uses the right ones, and which replicas must wait for theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from hashlib import sha256

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey, Surveyed, survey
from rackwright.roles.replica.gpus import Given, given, render_gpus
from rackwright.roles.replica.settings import Settings
from rackwright.roles.replica.state import ReplicaState

_SHOWN = 12
"""Characters of a UUID that are enough to distinguish the GPUs of a host."""


@dataclass(frozen=True)
class Deferred:
    """A replica that an apply doesn't wait for, or not until engines have restarted."""

    replica: Replica
    why: str
    until_restarts: bool
    """True: it is started, but can't answer until restarting engines release its GPUs. False: it isn't started."""


def gpus_given(replicas: tuple[Settings, ...], host: Surveyed) -> Given:
    """Return the GPUs that the role assigns to the host's replicas, computed from the same facts."""
    states = host.replicas.values()
    return given(
        replicas,
        host.hardware,
        {state.replica: state.gpus for state in states if state.gpus},
        {state.replica: state.gpus_in_use for state in states if state.gpus_in_use},
    )


def other_gpus(state: ReplicaState, gpus: Given) -> str | None:
    """Return how a running engine's GPUs differ from those that it should have; None: they don't, or unknown."""
    devices = gpus.devices.get(state.replica)
    if devices is None or state.gpus_digest == sha256(render_gpus(devices).encode()).hexdigest():
        return None
    now = tuple(device.uuid for device in devices)
    if set(now) == set(state.gpus_in_use):
        return "the processors next to its GPUs changed"
    return f"its GPUs changed: {_listed(now)} instead of {_listed(state.gpus_in_use)}"


def _listed(uuids: tuple[str, ...]) -> str:
    return ", ".join(uuid[:_SHOWN] for uuid in uuids) or "none"


def refuse_gpus(session: Session, surveyed: Survey) -> None:
    """Raise FleetError naming each host with fewer GPUs than its replicas need.

    A host that reports no GPUs is left out: its driver may not be installed yet.
    """
    problems = []
    for name, host in surveyed.hosts.items():
        wanted = sum(settings.gpus for settings in session.hosts[name].replicas)
        report = host.hardware.report
        has = max(len(report.gpus) if report else 0, len(host.hardware.nvidia))
        if has and wanted > has:
            what = f"the replicas placed on it need {wanted} GPUs, but it has {has}"
            problems.append(Problem(f"{name}: models", what, next="place fewer replicas there, or lower their gpus"))
    if problems:
        raise FleetError(problems)


def deferred(session: Session, surveyed: Survey, restarting: Set[Replica]) -> Iterator[Deferred]:
    """Yield replicas that can't have their GPUs now, and those that wait until restarting engines release them."""
    for name, host in surveyed.hosts.items():
        gpus = gpus_given(session.hosts[name].replicas, host)
        names = {replica.name for replica in restarting if replica.host == name}
        in_use = {uuid for state in host.replicas.values() if state.replica in names for uuid in state.gpus_in_use}
        for replica in session.fleet.replicas_on(name):
            state = host.replicas.get(replica.name)
            if state and state.active == "active":
                continue
            if why := gpus.without.get(replica.name):
                yield Deferred(replica, why, until_restarts=False)
            elif in_use & {device.uuid for device in gpus.devices.get(replica.name, ())}:
                yield Deferred(replica, "waits for GPUs of an engine that will restart", until_restarts=True)


def still_deferred(session: Session, before: tuple[Deferred, ...], hosts: Iterable[str]) -> tuple[Deferred, ...]:
    """Return which of these deferred replicas, on these hosts, still are: a driver may have been installed since."""
    left = [waiting for waiting in before if waiting.replica.host in set(hosts)]
    asked = {waiting.replica.host for waiting in left if not waiting.until_restarts}
    if not asked:
        return tuple(left)
    again = replace(session, hosts={name: session.hosts[name] for name in session.hosts if name in asked})
    return (
        *(waiting for waiting in left if waiting.until_restarts),
        *(waiting for waiting in deferred(again, survey(again), set()) if not waiting.until_restarts),
    )
