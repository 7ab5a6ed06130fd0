"""The certificates of this host."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.etcd import etcd_certificate
from rackwright.fleet.x509 import LONGEST_DAYS, MODERN_DAYS
from rackwright.roles.certificate.settings import Settings


def certificates_of(fleet: Fleet, host: str) -> tuple[Settings, ...]:
    """Return the certificates that the fleet's CA issues to this host."""
    serving = (_host_proxy(fleet, host),) if fleet.replicas_on(host) else ()
    etcd = (etcd_certificate(fleet, host),) if host in fleet.etcd_hosts else ()
    return (*serving, *(_gateway(fleet, host) if host in fleet.gateways else ()), *etcd)


def _host_proxy(fleet: Fleet, host: str) -> Settings:
    return Settings(name="host-proxy", names=(host, str(fleet.service(host))))


def _gateway(fleet: Fleet, host: str) -> tuple[Settings, ...]:
    gateway = fleet.file.gateway
    client = Settings(name="gateway-client", names=(host,), client=True)
    if gateway.certificate is not None:
        return (client,)
    addresses = [address for address in (fleet.service(host), gateway.vip) if address]
    names = (gateway.domain, *map(str, addresses))
    days = MODERN_DAYS if gateway.tls == "modern" else LONGEST_DAYS
    return (client, Settings(name="gateway", names=names, days=days))
