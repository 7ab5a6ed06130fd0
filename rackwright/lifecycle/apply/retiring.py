"""Replicas that serve although the fleet file no longer places them, and which of them can wait for others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rackwright.errors import HostError
from rackwright.fleet.desired import desired
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.lock import Lock
from rackwright.gateway import ServerState
from rackwright.lifecycle.fit.procedure import fit_host, memory_of
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey, Surveyed
from rackwright.run import Outcome, Run

_STOPS = ("gateway", "layout")
"""Roles that take a replica out of the gateways, or remove its unit."""
_ALL_GONE = "the fleet file places no replica of its model"


@dataclass(frozen=True)
class Retiring:
    """A replica that gets requests now, and that the fleet file no longer places."""

    replica: Replica
    port: int
    stops_first: str | None = None
    """Why it must stop before its model's other replicas answer; None: it serves until then."""


@dataclass(frozen=True)
class Retirement:
    """The replicas that an apply takes out of service for good."""

    replicas: tuple[Retiring, ...] = ()
    outages: tuple[str, ...] = ()
    """The models that have no replica from the time one of these stops until another one answers."""

    @property
    def kept(self) -> tuple[Retiring, ...]:
        """Those that serve until their model's other replicas answer."""
        return tuple(one for one in self.replicas if one.stops_first is None)

    @property
    def stopped_first(self) -> tuple[Retiring, ...]:
        return tuple(one for one in self.replicas if one.stops_first is not None)


def retirement(session: Session, surveyed: Survey, run: Run) -> Retirement:
    """Return what retires, given the steps that are planned. The gateways are asked only if these could stop it."""
    if not any(step.role in _STOPS and step.outcome is Outcome.WOULD_CHANGE for step in run.steps):
        return Retirement()
    serving = _serving(session, surveyed)
    found = tuple(_retiring(session, surveyed, serving.values()))
    return Retirement(found, tuple(_outages(serving, found)))


def with_kept(session: Session, kept: Sequence[Retiring]) -> Session:
    """Return the session in which these replicas belong to the fleet. Their units are left as they are."""
    if not kept:
        return session
    fleet, lock = _with(session.fleet, session.lock, kept)
    # To resolve them again could ask the operator for a password.
    credentials = next((spec.credentials for spec in session.hosts.values()), None)
    specs = desired(fleet, lock, credentials)
    rolled = {name: frozenset(one.replica.name for one in kept if one.replica.host == name) for name in session.hosts}
    hosts = {name: replace(specs[name], rolled=rolled[name]) for name in session.hosts}
    return replace(session, fleet=fleet, lock=lock, hosts=hosts)


def _serving(session: Session, surveyed: Survey) -> dict[str, ServerState]:
    """Return the servers to which a gateway sends requests now, by address. A new gateway has none."""

    def asked(gateway: str) -> dict[str, ServerState]:
        try:
            states = session.gateways.only((gateway,)).servers()
        except HostError:
            return {}
        return {address: state for address, state in states.items() if state.takes_requests}

    gateways = [name for name in session.fleet.gateways if name in surveyed.hosts]
    answers = session.remote.each(gateways, asked).values()
    return {address: state for states in answers for address, state in states.items()}


def _retiring(session: Session, surveyed: Survey, serving: Iterable[ServerState]) -> Iterator[Retiring]:
    """Yield each in turn, given that those before it stay where there is room for them."""
    fleet, kept = session.fleet, list[Retiring]()
    placed = {replica.address for replica in fleet.replicas}
    for state in serving:
        if state.address in placed or state.model not in fleet.file.models or state.host not in fleet.file.hosts:
            continue
        host = surveyed.hosts.get(state.host)
        one = Retiring(_replica_of(state, host), state.port)
        one = replace(one, stops_first=_lacks_room(session, host, (*kept, one)))
        if one.stops_first is None:
            kept.append(one)
        yield one


def _replica_of(state: ServerState, host: Surveyed | None) -> Replica:
    model, _, number = state.replica.partition("@")
    found = host.replicas.get(state.replica) if host else None
    return Replica(model=model, number=int(number), host=state.host, gpus=len(found.gpus) if found else 0)


def _lacks_room(session: Session, host: Surveyed | None, kept: tuple[Retiring, ...]) -> str | None:
    """Return why the last of these can't stay next to what the fleet file places on its host; None: it can."""
    fleet, lock, last = session.fleet, session.lock, kept[-1]
    name, others = last.replica.host, fleet.replicas_of(last.replica.model)
    if not others:
        return _ALL_GONE
    if any(replica.members for replica in others):
        return "its model's replicas span several hosts"
    if last.port in lock.ports.get(name, {}).values():
        return f"another replica gets its port {last.port}"
    if host is None:
        # It isn't changed: only the gateways know it.
        return None
    fleet, lock = _with(fleet, lock, kept)
    return _no_gpus(fleet, name, host) or _no_memory(session, fleet, lock, name, host)


def _no_gpus(fleet: Fleet, name: str, host: Surveyed) -> str | None:
    wanted = sum(replica.gpus for replica in fleet.parts_on(name))
    report = host.hardware.report
    has = max(len(report.gpus) if report else 0, len(host.hardware.nvidia))
    return f"its GPUs are needed on {name}" if has and wanted > has else None


def _no_memory(session: Session, fleet: Fleet, lock: Lock, name: str, host: Surveyed) -> str | None:
    lacks = _unfit(fleet, lock, name, host) - _unfit(session.fleet, session.lock, name, host)
    return f"its memory is needed on {name}" if lacks else None


def _unfit(fleet: Fleet, lock: Lock, name: str, host: Surveyed) -> set[str]:
    found = fit_host(fleet, lock, name, memory_of(host.hardware))
    return {placed.model for placed in found if placed.fit and placed.fit.fits is False}


def _with(fleet: Fleet, lock: Lock, kept: Iterable[Retiring]) -> tuple[Fleet, Lock]:
    kept = tuple(kept)
    ports: dict[str, Mapping[str, int]] = dict(lock.ports)
    for one in kept:
        ports[one.replica.host] = {**ports.get(one.replica.host, {}), one.replica.name: one.port}
    replicas = (*fleet.replicas, *(one.replica for one in kept))
    return replace(fleet, replicas=replicas), lock.model_copy(update={"ports": ports})


def _outages(serving: Iterable[str], found: Sequence[Retiring]) -> Iterator[str]:
    """Yield each model of which every replica that serves now stops before another one answers."""
    stopped = {one.replica.address for one in found if one.stops_first is not None}
    for model in dict.fromkeys(one.replica.model for one in found):
        serves = {address for address in serving if address.partition("/")[2].partition("@")[0] == model}
        if serves and serves <= stopped:
            yield model
