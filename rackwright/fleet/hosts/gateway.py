"""The entry point for clients, if this host is a gateway: routing, keys, the other gateways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.fleet.downloads import route_from_hosts
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.hosts.capture import records
from rackwright.fleet.lock import Lock
from rackwright.fleet.ports import port_of
from rackwright.fleet.sections.clouds import CloudModel
from rackwright.roles.capture.settings import SOCKET as CAPTURE_SOCKET
from rackwright.roles.gateway.settings import Cloud, Key, Peer, RevokedKey, RoutedModel, Server, Settings


@dataclass(frozen=True)
class Keys:
    """API keys in the form that gateways use."""

    given: tuple[Key, ...] = ()
    revoked: tuple[RevokedKey, ...] = ()


def gateway_of(fleet: Fleet, lock: Lock, host: str, keys: Keys) -> Settings | None:
    """Return this gateway's routes and keys; None if the host is not a gateway."""
    if host not in fleet.gateways:
        return None
    asked = fleet.file.gateway
    return Settings(
        name=host,
        domain=asked.domain,
        address=fleet.service(host),
        vip=asked.vip,
        tls=asked.tls,
        certificate="gateway",
        client_certificate="gateway-client",
        models=tuple(_routed(fleet, lock, model) for model in fleet.file.routed),
        clouds=tuple(clouds_of(fleet)),
        captures=CAPTURE_SOCKET if records(fleet, host) else None,
        keys=keys.given,
        revoked=keys.revoked,
        peers=tuple(Peer(name=name, address=fleet.service(name)) for name in fleet.gateways_beside(host)),
        response_timeout_seconds=asked.response_timeout,
        queue_timeout_seconds=asked.queue_timeout,
        max_request_bytes=asked.max_request,
        large_requests=asked.large_requests,
        key_concurrency=0 if asked.key_concurrency == "unlimited" else asked.key_concurrency,
        cors=asked.cors,
        downtime=fleet.file.rollout.downtime,
    )


def clouds_of(fleet: Fleet) -> Iterator[Cloud]:
    """Yield each cloud as the gateways see it."""
    route = route_from_hosts(fleet)
    for name, asked in fleet.file.clouds.items():
        yield Cloud(
            name=name,
            host=asked.host,
            port=asked.port,
            path=asked.path,
            auth=asked.auth,
            own_ca=asked.ca is not None,
            proxied=route.proxy_for(asked.url) is not None,
        )


def _routed(fleet: Fleet, lock: Lock, model: str) -> RoutedModel:
    asked = fleet.file.routed[model]
    if isinstance(asked, CloudModel):
        return RoutedModel(name=model, digest=None, names=asked.names, servers=(), cloud=asked.cloud)
    locked = lock.models[model]
    return RoutedModel(
        name=model,
        digest=locked.digest,
        created=int(locked.since.timestamp()) if locked.since else 0,
        names=asked.names,
        adapters=tuple(asked.adapters),
        servers=tuple(server_of(fleet, lock, replica) for replica in fleet.replicas_of(model)),
        by_prefix=asked.by_prefix,
        salts=asked.runtime.salts,
        schedules=asked.runtime.schedules,
        apis=asked.runtime.apis(asked.task),
        cloud=asked.cloud,
    )


def server_of(fleet: Fleet, lock: Lock, replica: Replica) -> Server:
    """Return the replica as a server for the gateways."""
    return Server(
        replica=replica.name,
        host=replica.host,
        address=fleet.service(replica.host),
        port=port_of(lock, replica),
        slots=fleet.file.models[replica.model].runtime.parallel,
    )
