"""The clouds of a gateway: their keys, their addresses, and which connections the gateway's HAProxy may open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.roles.gateway.settings import Cloud
from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField, Machine
from rackwright.values.secrets import Secret

FOLDER = "/etc/rackwright/cloud"
"""Keys as encrypted credentials, CAs, the script and the rules. HAProxy reads the CAs."""
RUN_NAME = "rackwright-cloud"
RUN = f"/run/{RUN_NAME}"
"""Root's folder with the sockets that lead through a proxy, and what the script did last."""
SCRIPT = f"{FOLDER}/follow"
RULES = f"{FOLDER}/egress.nft"
SERVICE = "rackwright-cloud.service"
TIMER = "rackwright-cloud.timer"
USER = "rw_cloud"
"""The user that connects to the proxy; it exists only if there is one."""


class Proxy(Frozen):
    """The HTTP proxy through which clouds are reached."""

    host: Machine
    port: Port


@dataclass(frozen=True)
class Access:
    """What a gateway needs for one cloud that isn't public, or not the same everywhere."""

    key: Secret
    ca: str | None = None
    """PEM with the CAs that verify it; None: the system's do."""


class Settings(Frozen):
    clouds: tuple[Cloud, ...]
    proxy: Proxy | None = None
    """None unless a cloud is reached through it."""
    replicas: tuple[AddressField, ...] = ()
    """Where the host proxies are."""
    gateways: tuple[AddressField, ...] = ()
    """The other gateways."""
    every_seconds: int = 30
    """How often the clouds' names are resolved."""

    @property
    def proxied(self) -> tuple[Cloud, ...]:
        return tuple(cloud for cloud in self.clouds if cloud.proxied)

    @property
    def direct(self) -> tuple[Cloud, ...]:
        return tuple(cloud for cloud in self.clouds if not cloud.proxied)

    @property
    def units(self) -> Iterator[str]:
        """Every systemd unit of this role."""
        yield from (SERVICE, TIMER)
        for cloud in self.proxied:
            yield from (socket_of(cloud), connection_of(cloud))

    @property
    def files(self) -> Iterator[str]:
        """Every file of this role."""
        yield from (SCRIPT, RULES)
        for cloud in self.clouds:
            yield credential_of(cloud)
            if cloud.own_ca:
                yield ca_of(cloud)


def credential_of(cloud: Cloud) -> str:
    return f"{FOLDER}/{cloud.name}.key.cred"


def ca_of(cloud: Cloud) -> str:
    return f"{FOLDER}/{cloud.name}.ca.crt"


def socket_of(cloud: Cloud) -> str:
    return f"rackwright-cloud.{cloud.name}.socket"


def connection_of(cloud: Cloud) -> str:
    """Return the template unit of one connection through the proxy."""
    return f"rackwright-cloud.{cloud.name}@.service"
