"""Run HAProxy as a gateway."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.haproxy.paths import DRAINS
from rackwright.operations.haproxy.proxy import Proxy, proxy_running
from rackwright.roles.gateway.configuration import PATHS, applied_keys, haproxy_cfg, maps
from rackwright.roles.gateway.settings import Settings


@deploy("gateway")
def gateway(*, settings: Settings) -> None:
    """Ensure that clients with a key reach every model of the fleet on this address, and nothing else."""
    proxy = Proxy(
        unit="rackwright-gateway",
        description="rackwright: the gateway that clients connect to",
        paths=PATHS,
        certificates=(settings.certificate, settings.client_certificate),
        capabilities="CAP_NET_BIND_SERVICE",
        drains=DRAINS,
    )
    proxy_running(proxy, haproxy_cfg=haproxy_cfg(settings), files=maps(settings), keys=applied_keys(settings))
