"""Each replica, as its host and the gateways see it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from rackwright.errors import HostError
from rackwright.fleet.fleet import Replica
from rackwright.gateway.usage import Reuse, Usages
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey
from rackwright.lifecycle.status.engines import COMMAND, Engine, parse_engines
from rackwright.lifecycle.status.parts import ReplicaStatus
from rackwright.lifecycle.status.traffic import Traffic, traffic_of
from rackwright.lifecycle.status.warnings import drained_of
from rackwright.remote.answers import read_each

_SHOWN = 16
"""Digits of a digest."""


def ask_engines(session: Session, surveyed: Survey) -> dict[str, Engine]:
    """Return the engines that run, by HOST/MODEL@N. A host that doesn't answer is left out; the survey reports it."""
    serving = [name for name in surveyed.hosts if session.fleet.replicas_on(name)]
    answers = read_each(session.remote.run_on(serving, COMMAND), "asking what its engines run", parse_engines)
    return {
        f"{name}/{replica}": engine
        for name, found in answers.items()
        if not isinstance(found, HostError)
        for replica, engine in found.items()
    }


def ask_reuse(session: Session, surveyed: Survey, now: datetime) -> dict[str, tuple[int, int]]:
    """Return the tokens of each replica's prompts of today, and those of them from its cache, by HOST/MODEL@N.

    A gateway that doesn't answer is left out; others report it.
    """
    gateways = tuple(name for name in session.fleet.gateways if name in surveyed.hosts)
    answers = Usages(session.remote, gateways).reuse(now.date()).values()
    return added_reuse(answer for answer in answers if not isinstance(answer, HostError))


def added_reuse(answers: Iterable[Reuse]) -> dict[str, tuple[int, int]]:
    """Return what the gateways have counted together."""
    found = dict[str, tuple[int, int]]()
    for reuse in answers:
        for replica, (prompt, cached) in reuse.items():
            before = found.get(replica, (0, 0))
            found[replica] = before[0] + prompt, before[1] + cached
    return found


def replica_status(
    session: Session,
    surveyed: Survey,
    traffic: Traffic,
    engines: Mapping[str, Engine],
    reuse: Mapping[str, tuple[int, int]],
    pending: str | None,
    replica: Replica,
) -> ReplicaStatus:
    host = surveyed.hosts.get(replica.host)
    found = host.replicas.get(replica.name) if host else None
    server, engine = traffic.server(replica.address), engines.get(replica.address)
    state = "unreachable" if host is None else "not installed" if found is None else found.probe
    return ReplicaStatus(
        replica=replica.address,
        model=replica.model,
        names=session.fleet.file.models[replica.model].served,
        state=state,
        reason=found.why if found else None,
        traffic=traffic_of(server),
        gateways=traffic.by_gateway(replica.address),
        in_flight=server.in_flight if server else None,
        version=_version(session, replica, engine, found.weights if found else ()),
        pending=pending or (None if found or host is None else "install"),
        drained=drained_of(server.record) if server and server.drained else None,
        canary=server.canary.percent if server and server.canary else None,
        paused_keys=found.paused if found else (),
        running_seconds=engine.seconds if engine else None,
        restarts=engine.restarts if engine else 0,
        last_end=engine.ended if engine else None,
        prompt_tokens=reuse.get(replica.address, (0, 0))[0],
        cached_tokens=reuse.get(replica.address, (0, 0))[1],
    )


def _version(session: Session, replica: Replica, engine: Engine | None, weights: Collection[str]) -> str:
    """Return the runtime and the weights that run, each as the lock has it if it isn't known."""
    runtime, locked = session.fleet.file.models[replica.model].runtime, session.lock.models[replica.model]
    program = f"{runtime.kind} {runtime.version}"
    if engine and engine.runtime:
        program = engine.runtime.replace("-", " ", 1)
    adapters = {adapter.digest[:_SHOWN] for adapter in locked.adapters.values()}
    digest = locked.digest[:_SHOWN]
    others = sorted(set(weights) - adapters)
    return f"{program}, {digest if digest in weights or not others else '+'.join(others)}"
