"""The only way to one host's engines: TLS, and only for gateways with a certificate of the fleet."""

from __future__ import annotations

from rackwright.roles.replica.settings import ReplicaName
from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField
from rackwright.values.paths import HostPath
from rackwright.values.text import Line

FOLDER = "/etc/rackwright/host-proxy"
KEY_HEADER = "x-rackwright-key"
"""Header in which a gateway says whose request it passes on: the id of the API key. Engines don't see it."""


class Proxied(Frozen):
    replica: ReplicaName
    port: Port
    """On the service address, from 8100, kept in the lock."""
    socket: HostPath
    agent_port: Port
    slots: int
    """Maximum number of requests that the engine answers at a time."""

    @property
    def frontend(self) -> str:
        """HAProxy's name for the frontend that gateways connect to."""
        return f"replica.{self.replica.replace('@', '.')}"

    @property
    def backend(self) -> str:
        """HAProxy's name for the backend that the frontend sends to."""
        return f"engine.{self.replica.replace('@', '.')}"


class Settings(Frozen):
    address: AddressField
    """The host's service address."""
    certificate: Line
    """Name of the certificate role's files."""
    gateways: tuple[Line, ...]
    """Common names of the client certificates that may connect."""
    replicas: tuple[Proxied, ...]
    response_timeout_seconds: int = 3600

    @property
    def units(self) -> tuple[str, ...]:
        """Every systemd unit of this role."""
        return ("rackwright-host-proxy.service",)
