"""Run HAProxy as a gateway."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api.deploy import deploy

from rackwright.operations.haproxy.paths import DRAINS
from rackwright.operations.haproxy.proxy import Proxy, proxy_running
from rackwright.roles.gateway.configuration import (
    PATHS,
    READER_PATHS,
    applied_keys,
    haproxy_cfg,
    maps,
    reader_cfg,
    reader_files,
)
from rackwright.roles.gateway.settings import Settings

FOLLOWS = "rackwright-cloud.service"
"""The role `cloud` makes it."""


def cloud_files(settings: Settings) -> Iterator[str]:
    """Yield the files of clouds that HAProxy reads."""
    for cloud in settings.clouds:
        yield f"{PATHS.clouds}/{cloud.name}.key.cred"
        if cloud.own_ca:
            yield f"{PATHS.clouds}/{cloud.name}.ca.crt"


@deploy("reader")
def reader(*, settings: Settings) -> None:
    """Ensure that large requests can be taken in."""
    proxy = Proxy(
        unit="rackwright-reader",
        description="rackwright: takes large requests in for the gateway",
        paths=READER_PATHS,
        certificates=(),
        is_local=True,
    )
    proxy_running(proxy, haproxy_cfg=reader_cfg(settings), files=reader_files())


@deploy("gateway")
def gateway(*, settings: Settings) -> None:
    """Ensure that clients with a key reach every model of the fleet on this address, and nothing else."""
    reader(settings=settings)
    proxy = Proxy(
        unit="rackwright-gateway",
        description="rackwright: the gateway that clients connect to",
        paths=PATHS,
        certificates=(settings.certificate, settings.client_certificate),
        capabilities="CAP_NET_BIND_SERVICE",
        drains=DRAINS,
        clouds=tuple(cloud.name for cloud in settings.clouds),
        ledger=settings.accepted,
        starts=FOLLOWS if settings.clouds else "",
        also_read=tuple(cloud_files(settings)),
    )
    proxy_running(proxy, haproxy_cfg=haproxy_cfg(settings), files=maps(settings), keys=applied_keys(settings))
