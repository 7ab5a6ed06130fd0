"""A serving host: runtimes, weights, an engine and a probe for each replica, the certificate, and the host proxy."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostSpec, InstalledRuntime
from rackwright.roles.certificate.role import certificate
from rackwright.roles.gpu_faults.role import gpu_faults
from rackwright.roles.host_proxy.role import host_proxy
from rackwright.roles.llama_cpp.role import llama_cpp
from rackwright.roles.model_store.role import model_store
from rackwright.roles.p2p.role import p2p
from rackwright.roles.probe.role import probe
from rackwright.roles.replica.role import gpus_of, replica
from rackwright.roles.replica_group.role import replica_group
from rackwright.roles.vllm.role import vllm
from rackwright.roles.vllm.settings import Settings as Vllm
from rackwright.route import Route


def serve() -> None:
    """Ensure that every replica of this host is installed and started; a running engine is never restarted."""
    spec: HostSpec = host.data.spec
    if spec.model_store is None:
        return
    prefetch()
    gpus = gpus_of(spec.replicas)
    for unit in spec.replicas:
        replica(settings=unit, gpus=gpus, rolled=unit.name in spec.rolled)
    for together in spec.replica_groups:
        replica_group(settings=together)
    if spec.gpu_faults:
        gpu_faults(settings=spec.gpu_faults)
    for watch in spec.probes:
        probe(settings=watch)
    if spec.host_proxy is None:
        return
    for issued in spec.certificates:
        if issued.name == spec.host_proxy.certificate:
            certificate(settings=issued, issuer=spec.credentials.issuer)
    host_proxy(settings=spec.host_proxy)


def prefetch() -> None:
    """Fetch the runtimes and weights of this host's replicas next to the running versions; nothing uses them yet."""
    spec: HostSpec = host.data.spec
    if spec.model_store is None:
        return
    ready_for_p2p()
    for runtime in spec.runtimes:
        _runtime(runtime, spec.downloads.route)
    weights()


def ready_for_p2p() -> None:
    """Ensure that the host can receive weights from other hosts and pass them on."""
    spec: HostSpec = host.data.spec
    if spec.p2p:
        p2p()


def weights() -> None:
    """Ensure that the weights of this host's replicas are stored; fetch those that are missing."""
    spec: HostSpec = host.data.spec
    if spec.model_store:
        model_store(settings=spec.model_store, route=spec.downloads.route, token=spec.credentials.hub_token)


def own_weights() -> None:
    """Store only the weights that this host writes; weights that it reads may not have been written yet."""
    spec: HostSpec = host.data.spec
    if spec.model_store:
        model_store(settings=spec.model_store.own, route=spec.downloads.route, token=spec.credentials.hub_token)


def _runtime(runtime: InstalledRuntime, route: Route) -> None:
    settings, lock = runtime.settings, runtime.lock
    if isinstance(settings, Vllm):
        vllm(
            settings=settings,
            wheels=lock.files,
            digest=lock.digest,
            gpus=runtime.gpus,
            route=route,
            kept=runtime.kept,
        )
    else:
        llama_cpp(settings=settings, files=lock.files, route=route, kept=runtime.kept)
