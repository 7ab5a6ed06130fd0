"""Where clients come in: TLS, API keys, model routing, one access log."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from rackwright.ports import PEERS_PORT
from rackwright.roles.replica.settings import ReplicaName
from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField
from rackwright.values.text import Line, Name, ServedName, Sha256

FOLDER = "/etc/rackwright/gateway"
Downtime = Literal["queue", "reject"]
"""Requests for a model in planned downtime wait, at most `queue_timeout_seconds`, or get 503 at once."""


class Server(Frozen):
    """One replica as a gateway sees it."""

    replica: ReplicaName
    host: Name
    address: AddressField
    port: Port
    slots: int

    @property
    def name(self) -> str:
        """HAProxy's name of the server. The port is part of it: a saved state must not move a replica's port."""
        return f"{self.host}.{self.replica.replace('@', '.')}.{self.port}"


class RoutedModel(Frozen):
    name: Name
    digest: Sha256
    names: tuple[ServedName, ...]
    servers: tuple[Server, ...]


class Key(Frozen):
    """An API key as gateways know it: never the key."""

    id: Name
    sha256: Sha256
    models: tuple[Name, ...] = ()
    """Models it may use; empty means all."""
    expires: datetime | None = None
    requests_per_minute: int = 0
    """Over all gateways; 0: as many as it likes."""
    concurrency: int = 0
    """Requests at a time, at each gateway; 0: as many as it likes."""
    server: str = ""
    """HAProxy's name of the server that it asks, a drained one too, and no other unless that is down; "": any."""
    version: int = 0
    """Of two descriptions of a key the one with the greater counts."""
    about: Line = "a key of a run"
    """Whose it is and what it may do, in words."""


class RevokedKey(Frozen):
    """An API key that no gateway ever lets in again."""

    sha256: Sha256
    about: Line


class Peer(Frozen):
    """Another gateway of the fleet."""

    name: Name
    address: AddressField
    port: Port = PEERS_PORT


class Settings(Frozen):
    name: Name
    """Of the host: gateways know one another by it."""
    domain: Line
    address: AddressField
    """Listens on this address, and on the virtual one, only."""
    vip: AddressField | None = None
    """Of all gateways; whether this one has it changes while it runs."""
    port: Port = 443
    certificate: Line
    """Name of the certificate role's files that clients see."""
    client_certificate: Line
    """Name of the certificate role's files shown to host proxies and to other gateways."""
    models: tuple[RoutedModel, ...]
    keys: tuple[Key, ...]
    revoked: tuple[RevokedKey, ...] = ()
    peers: tuple[Peer, ...] = ()
    """The fleet's other gateways."""
    peers_port: Port = PEERS_PORT
    response_timeout_seconds: int = 3600
    queue_timeout_seconds: int = 60
    """How long a request may wait for a free slot, and before that for the end of a planned downtime."""
    downtime: Downtime = "queue"
    connections: int = 4000
    """Clients connected at a time, idle ones too."""

    @property
    def units(self) -> tuple[str, ...]:
        """Every systemd unit of this role."""
        return ("rackwright-gateway.service",)
