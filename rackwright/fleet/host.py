"""What one host should be: the settings of every role on it, from the fleet file, the lock and the keys."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.fleet.lock import RuntimeLock
from rackwright.roles.certificate.settings import Settings as Certificate
from rackwright.roles.firewall.settings import Settings as Firewall
from rackwright.roles.gateway.settings import Settings as Gateway
from rackwright.roles.host_proxy.settings import Settings as HostProxy
from rackwright.roles.layout.settings import Settings as Layout
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.roles.probe.settings import Settings as Probe
from rackwright.roles.replica.settings import Settings as ReplicaUnit


@dataclass(frozen=True)
class InstalledRuntime:
    settings: LlamaCpp
    lock: RuntimeLock


@dataclass(frozen=True)
class HostModel:
    """One host's model, as deploys read it. None: the role has nothing to do there."""

    name: str
    layout: Layout
    firewall: Firewall
    certificates: tuple[Certificate, ...]
    model_store: ModelStore | None
    runtimes: tuple[InstalledRuntime, ...]
    replicas: tuple[ReplicaUnit, ...]
    probes: tuple[Probe, ...]
    host_proxy: HostProxy | None
    gateway: Gateway | None
