"""The clouds of this host, if it is a gateway."""

from __future__ import annotations

from urllib.parse import urlsplit

from rackwright.fleet.downloads import route_from_hosts
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.gateway import clouds_of
from rackwright.roles.cloud.settings import Proxy, Settings


def cloud_of(fleet: Fleet, host: str) -> Settings | None:
    """Return the clouds that this gateway passes requests to; None if the host is no gateway or there are none."""
    clouds = tuple(clouds_of(fleet))
    if host not in fleet.gateways or not clouds:
        return None
    serving = dict.fromkeys(replica.host for replica in fleet.replicas)
    return Settings(
        clouds=clouds,
        proxy=_proxy(fleet) if any(cloud.proxied for cloud in clouds) else None,
        replicas=tuple(fleet.service(name) for name in serving),
        gateways=tuple(fleet.service(name) for name in fleet.gateways_beside(host)),
    )


def _proxy(fleet: Fleet) -> Proxy | None:
    proxy = route_from_hosts(fleet).proxy
    if proxy is None:
        return None
    parts = urlsplit(proxy)
    return Proxy(host=(parts.hostname or "").lower(), port=parts.port or 80)
