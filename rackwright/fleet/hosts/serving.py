"""The serving stack of this host: weights, runtimes, an engine and a probe per replica, and the host proxy."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.hosts.host_spec import InstalledRuntime
from rackwright.fleet.hosts.members import between_hint, member_of, replica_group_of
from rackwright.fleet.lock import Lock, RuntimeLock
from rackwright.fleet.ports import port_of
from rackwright.fleet.sections.models import Model
from rackwright.launch import BUILDS, Adapter, Engine, Task
from rackwright.roles.gpu_faults.settings import Settings as GpuFaults
from rackwright.roles.host_proxy.settings import Proxied
from rackwright.roles.host_proxy.settings import Settings as HostProxy
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.roles.model_store.settings import StoredModel, folder_of
from rackwright.roles.nvidia_driver.settings import UNIT as GPUS_UNIT
from rackwright.roles.probe.settings import DEADLINE
from rackwright.roles.probe.settings import Settings as Probe
from rackwright.roles.replica.settings import Settings as ReplicaUnit
from rackwright.roles.replica_group.settings import GROUP_STATES
from rackwright.roles.replica_group.settings import Settings as ReplicaGroup

AGENT_PORT_OFFSET = 10_000
"""A replica's agent listens on loopback, on the replica's port plus this offset."""
SLOWEST = 50
"""Tokens per second. A CPU that computes embeddings more slowly counts as hung while it reads a long text."""


@dataclass(frozen=True)
class Serving:
    """The serving stack; None or empty on a host without engines."""

    model_store: ModelStore | None = None
    runtimes: tuple[InstalledRuntime, ...] = ()
    replicas: tuple[ReplicaUnit, ...] = ()
    probes: tuple[Probe, ...] = ()
    replica_groups: tuple[ReplicaGroup, ...] = ()
    gpu_faults: GpuFaults | None = None
    host_proxy: HostProxy | None = None


def serving_of(fleet: Fleet, lock: Lock, host: str) -> Serving:
    """Return the serving stack for this host's replicas."""
    parts = fleet.parts_on(host)
    if not parts:
        return Serving()
    units = tuple(_unit(fleet, lock, replica, host) for replica in parts)
    answering = tuple((replica, unit) for replica, unit in zip(parts, units, strict=True) if replica.host == host)
    return Serving(
        model_store=_model_store(fleet, lock, host, parts),
        runtimes=_runtimes(fleet, lock, parts),
        replicas=units,
        probes=tuple(_probe(fleet, lock, replica, unit) for replica, unit in answering),
        replica_groups=tuple(
            replica_group_of(fleet, lock, replica, host, unit.unit)
            for replica, unit in zip(parts, units, strict=True)
            if replica.members
        ),
        gpu_faults=GpuFaults() if any(replica.gpus for replica in parts) else None,
        host_proxy=_host_proxy(fleet, host, tuple(_proxied(fleet, lock, *one) for one in answering)),
    )


def _model_store(fleet: Fleet, lock: Lock, host: str, replicas: tuple[Replica, ...]) -> ModelStore:
    models, store = dict.fromkeys(replica.model for replica in replicas), fleet.file.hosts[host].store
    return ModelStore(
        root=store.path,
        shared=store.shared != "no",
        models=tuple(
            StoredModel(
                name=model,
                digest=stored.digest,
                files=fleet.located(stored.files),
                writer=writer_of(fleet, host, model),
            )
            for model in models
            for stored in lock.models[model].whole
        ),
        hub=fleet.file.downloads.hub,
    )


def writer_of(fleet: Fleet, host: str, model: str) -> str | None:
    """Return the host that writes this model into a shared folder of models; None if this host writes it itself.

    It is the first host in service that shares the folder and serves the model. So every command that changes the
    model includes it.
    """
    store = fleet.file.hosts[host].store
    if store.shared == "no":
        return None
    serving = {name for replica in fleet.replicas_of(model) for name in replica.hosts}
    first = next((name for name in fleet.hosts if name in serving and fleet.file.hosts[name].store == store), host)
    return None if first == host else first


def _runtimes(fleet: Fleet, lock: Lock, replicas: tuple[Replica, ...]) -> tuple[InstalledRuntime, ...]:
    settings = {
        runtime.key: runtime for runtime in (fleet.file.models[replica.model].runtime for replica in replicas)
    }
    on_gpus = {fleet.file.models[replica.model].runtime.key for replica in replicas if replica.gpus}
    return tuple(
        InstalledRuntime(
            settings[key], _located(fleet, lock.runtimes[key]), key in on_gpus, _kept(fleet, key, lock.runtimes[key])
        )
        for key in settings
    )


def _kept(fleet: Fleet, key: str, locked: RuntimeLock) -> str | None:
    """Return where a host keeps a runtime's build: if it comes from the controller, and backups save builds."""
    backup, local = fleet.file.backup, any(file.local for file in locked.files)
    return f"{BUILDS}/{key}-{locked.digest[:16]}" if local and backup and backup.builds == "yes" else None


def _located(fleet: Fleet, runtime: RuntimeLock) -> RuntimeLock:
    return runtime.model_copy(update={"files": fleet.located(runtime.files)})


def _unit(fleet: Fleet, lock: Lock, replica: Replica, host: str) -> ReplicaUnit:
    model = fleet.file.models[replica.model]
    root = fleet.file.hosts[host].store.path
    locked = lock.models[replica.model]
    folder = folder_of(root, replica.model, locked.digest)
    adapters = tuple(
        Adapter(served, folder_of(root, replica.model, adapter.digest)) for served, adapter in locked.adapters.items()
    )
    unit = ReplicaUnit(
        name=replica.name,
        model=replica.model,
        user=f"rw-{replica.model}",
        command=(),
        readable=(folder, *dict.fromkeys(adapter.path for adapter in adapters)),
        mount=root,
        stop_seconds=fleet.file.rollout.drain_timeout,
        after=GPUS_UNIT if replica.gpus and fleet.driver_of(host) else None,
        gpus=replica.gpus,
    )
    launch = model.runtime.launch(
        Engine(
            model=f"{folder}/{locked.weights}".removesuffix("/."),
            socket=unit.socket,
            name=replica.model,
            context=model.context,
            gpus=replica.gpus,
            stop_seconds=unit.stop_seconds,
            task=model.task,
            member=member_of(fleet, lock, replica, host),
            adapters=adapters,
        )
    )
    return unit.launched(launch)


def _probe(fleet: Fleet, lock: Lock, replica: Replica, unit: ReplicaUnit) -> Probe:
    model = fleet.file.models[replica.model]
    return Probe(
        replica=replica.name,
        unit=unit.unit,
        socket=unit.socket,
        served_name=replica.model,
        task=model.task,
        counter=model.runtime.counter,
        busy=model.runtime.busy,
        deadline_seconds=_deadline(model, replica),
        agent_port=_agent_port(lock, replica),
        group_file=f"{GROUP_STATES}/{replica.name}" if replica.members else None,
        hint=between_hint(lock, replica) if replica.members else None,
        gpus_file=unit.gpus_file if replica.gpus else None,
    )


def _deadline(model: Model, replica: Replica) -> int:
    """Return the seconds within which the counter of the replica's engine must move: once per step."""
    batch = model.runtime.batch(model.task, model.context, gpus=replica.gpus)
    whole_texts = model.task is Task.EMBED and not replica.gpus
    return max(DEADLINE, batch // SLOWEST) if whole_texts and batch else DEADLINE


def _host_proxy(fleet: Fleet, host: str, replicas: tuple[Proxied, ...]) -> HostProxy | None:
    if not replicas:
        return None
    return HostProxy(
        address=fleet.service(host),
        certificate="host-proxy",
        gateways=fleet.gateways,
        replicas=replicas,
        response_timeout_seconds=fleet.file.gateway.response_timeout,
    )


def _proxied(fleet: Fleet, lock: Lock, replica: Replica, unit: ReplicaUnit) -> Proxied:
    return Proxied(
        replica=replica.name,
        port=port_of(lock, replica),
        socket=unit.socket,
        agent_port=_agent_port(lock, replica),
        slots=fleet.file.models[replica.model].runtime.parallel,
    )


def _agent_port(lock: Lock, replica: Replica) -> int:
    return port_of(lock, replica) + AGENT_PORT_OFFSET
