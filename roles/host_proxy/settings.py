"""The only way to the engines of one host: TLS, for gateways with a certificate of the fleet only."""

from __future__ import annotations

from rackwright.roles.replica.settings import ReplicaName
from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField
from rackwright.values.paths import HostPath
from rackwright.values.text import Line

FOLDER = "/etc/rackwright/host-proxy"


class Proxied(Frozen):
    replica: ReplicaName
    port: Port
    """On the service address, from 8100, kept in the lock."""
    socket: HostPath
    agent_port: Port
    slots: int
    """Requests the engine takes at a time."""

    @property
    def frontend(self) -> str:
        """HAProxy's name of where gateways come in."""
        return f"replica.{self.replica.replace('@', '.')}"

    @property
    def backend(self) -> str:
        """HAProxy's name of what the frontend sends to."""
        return f"engine.{self.replica.replace('@', '.')}"


class Settings(Frozen):
    address: AddressField
    """The host's service address."""
    certificate: Line
    """Name of the certificate role's files."""
    gateways: tuple[Line, ...]
    """Common names of the client certificates that are let in."""
    replicas: tuple[Proxied, ...]
    response_timeout_seconds: int = 3600

    @property
    def units(self) -> tuple[str, ...]:
        """Every systemd unit of this role."""
        return ("rackwright-host-proxy.service",)
