"""What runs, how it is, and what is pending; reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.errors import HostError
from rackwright.fleet.lock import lock_digest
from rackwright.fleet.model import Replica
from rackwright.gateway import ServerState
from rackwright.lifecycle.plan import restarts
from rackwright.lifecycle.site import Site
from rackwright.lifecycle.survey import Survey, survey
from rackwright.state.lease import Lease


@dataclass(frozen=True)
class ReplicaStatus:
    """One replica: as its host sees it, and as the gateways do."""

    replica: str
    """HOST/MODEL@N."""
    model: str
    names: tuple[str, ...]
    state: str
    """loading, ready, busy, hung, stopped; not installed; unreachable."""
    traffic: str
    """yes, no, drained with its reason, or unknown."""
    in_flight: int | None
    version: str
    """Runtime and first digits of the model's digest, as the lock has them."""
    pending: str | None
    """What an apply would do to it."""


@dataclass(frozen=True)
class HostStatus:
    host: str
    state: str
    """ok, unreachable with its reason, or out with its reason."""
    pending: str | None


@dataclass(frozen=True)
class Status:
    hosts: tuple[HostStatus, ...]
    replicas: tuple[ReplicaStatus, ...]
    lease: Lease | None
    notes: tuple[str, ...]
    """What could not be asked."""

    @property
    def healthy(self) -> bool:
        """Every host answers and every replica takes requests, or was drained by hand."""
        taken = all(replica.traffic == "yes" or replica.traffic.startswith("drained") for replica in self.replicas)
        return taken and not self.notes and all(host.state == "ok" or host.state[:3] == "out" for host in self.hosts)


def status(site: Site) -> Status:
    """Ask hosts, gateways and the control host; change nothing. What doesn't answer is said in its place."""
    surveyed = survey(site)
    notes: list[str] = []
    servers = _servers(site, notes)
    pending = {restart.replica.address: "restart" for restart in restarts(site, surveyed)}
    return Status(
        hosts=tuple(_host(site, surveyed, name) for name in site.fleet.file.hosts if _looked_at(site, name)),
        replicas=tuple(
            _replica(site, surveyed, servers, pending.get(replica.address), replica)
            for replica in site.fleet.replicas
            if _looked_at(site, replica.host)
        ),
        lease=_lease(site, notes),
        notes=tuple(notes),
    )


def _looked_at(site: Site, host: str) -> bool:
    """Whether it is one of the hosts asked for; with all of them, those out of service are named too."""
    return host in site.models or set(site.models) == set(site.fleet.hosts)


def _servers(site: Site, notes: list[str]) -> Mapping[str, ServerState]:
    try:
        return site.gateways.servers()
    except HostError as error:
        notes.append(f"gateways: {error.problems[0].what}")
        return {}


def _lease(site: Site, notes: list[str]) -> Lease | None:
    try:
        return site.store.show()
    except HostError as error:
        notes.append(f"lease: {error.problems[0].what}")
        return None


def _host(site: Site, surveyed: Survey, name: str) -> HostStatus:
    if reason := site.fleet.file.hosts[name].out:
        return HostStatus(name, f"out: {reason}", None)
    if reason := surveyed.unreachable.get(name):
        return HostStatus(name, f"unreachable: {reason}", None)
    record = surveyed.hosts[name].record
    if not record:
        return HostStatus(name, "ok", "never applied")
    return HostStatus(name, "ok", None if lock_digest(site.lock) in record else "another lock was applied")


def _replica(
    site: Site, surveyed: Survey, servers: Mapping[str, ServerState], pending: str | None, replica: Replica
) -> ReplicaStatus:
    host = surveyed.hosts.get(replica.host)
    found = host.replicas.get(replica.name) if host else None
    server = servers.get(replica.address)
    model = site.fleet.file.models[replica.model]
    state = "unreachable" if host is None else "not installed" if found is None else found.probe
    return ReplicaStatus(
        replica=replica.address,
        model=replica.model,
        names=model.names,
        state=f"{state}: {found.crash}" if found and found.crash and not found.serves else state,
        traffic=_traffic(server),
        in_flight=server.in_flight if server else None,
        version=f"{model.runtime.kind} {model.runtime.version}, {site.lock.models[replica.model].digest[:16]}",
        pending=pending or (None if found or host is None else "install"),
    )


def _traffic(server: ServerState | None) -> str:
    if server is None:
        return "unknown"
    if server.drained:
        record = server.record
        return f"drained: {record.reason} ({record.who.partition(' ')[0]})" if record else "drained"
    return "yes" if server.up else "no"
