"""The gateway that clients connect to: TLS, API keys, model routing, one access log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from rackwright.client_apis import BASICS
from rackwright.ports import PEERS_PORT
from rackwright.roles.replica.settings import ReplicaName
from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField
from rackwright.values.paths import HostPath
from rackwright.values.text import Line, Name, Origin, ServedName, Sha256, Shape

FOLDER = "/etc/rackwright/gateway"
LEFT = "left"
"""Name of a file in a gateway's folder that exists while the gateway has left: it takes no connections, and doesn't
take the virtual address. HAProxy reads it as a map with one entry. No role writes it; rackwright.gateway does."""
Tls = Literal["intermediate", "modern"]
"""Mozilla's profile for clients: TLS 1.2 and newer, or TLS 1.3 only."""
ADDRESSES = 4
"""How many addresses of a cloud a gateway uses at the same time."""
Side = Literal["", "cloud", "fleet"]
"""Who answers a key's requests: the model's cloud, its replicas, or, if empty, the side that answers clients."""
BASIC_PATHS = tuple(api.path for api in BASICS)
HttpPath = Annotated[str, Shape("(/[a-z0-9_]+)+", "should be a path like /v1/responses")]
Downtime = Literal["queue", "reject"]
"""Requests for a model in planned downtime wait for at most `queue_timeout_seconds`, or get 503 immediately."""


def longest_connection(response_timeout_seconds: int, queue_timeout_seconds: int) -> int:
    """Return for how many seconds a connection may be open that is closed after its next answer.

    Each request may take as long as any: wait in downtime, wait for a slot, be answered. A kept-alive connection may
    bring one more request, at most 75 s later, plus its head and body.
    """
    return response_timeout_seconds + 2 * queue_timeout_seconds + 180


class Server(Frozen):
    """One replica as a gateway sees it."""

    replica: ReplicaName
    host: Name
    address: AddressField
    port: Port
    slots: int

    @property
    def name(self) -> str:
        """HAProxy's name for the server. It has the port, so that a saved state never changes a replica's port."""
        return f"{self.host}.{self.replica.replace('@', '.')}.{self.port}"


class Cloud(Frozen):
    """A provider's API as a gateway sees it."""

    name: Name
    host: Line
    """Its DNS name, for which its certificate must be valid."""
    port: Port = 443
    path: Line = ""
    """What takes the place of /v1 in a request's path."""
    auth: Literal["bearer", "api-key"] = "bearer"
    own_ca: bool = False
    """Whether NAME.ca.crt has the CAs that verify it; otherwise the system's CAs do."""
    proxied: bool = False
    """Whether it is reached through a socket that leads through a proxy, not by its addresses."""

    @property
    def backend(self) -> str:
        """HAProxy's name for it."""
        return f"cloud.{self.name}"

    @property
    def servers(self) -> tuple[str, ...]:
        """HAProxy's names for its addresses. They have the port, so that a saved state never changes it."""
        if self.proxied:
            return (f"proxy.{self.port}",)
        return tuple(f"address{number}.{self.port}" for number in range(1, ADDRESSES + 1))


class RoutedModel(Frozen):
    name: Name
    digest: Sha256 | None
    """None: only a cloud answers it."""
    names: tuple[ServedName, ...]
    """The names that clients use, without those of its adapters. A cloud knows its models by these, too."""
    adapters: tuple[ServedName, ...] = ()
    """The names of its adapters, which its engine knows; it doesn't know `names`."""
    servers: tuple[Server, ...]
    cloud: Name | None = None
    """The cloud that answers clients; None: its replicas do."""
    created: int = 0
    """When its version was locked, Unix seconds; 0: an older lock doesn't say."""
    apis: tuple[HttpPath, ...] = BASIC_PATHS
    """The paths that its engine serves for clients. A cloud is asked only for the basic ones."""
    by_prefix: bool = False
    """Whether a conversation goes to the replica that has computed its beginning; False: to the least busy one."""
    salts: bool = False
    """Whether its engine reuses a prompt only among requests with the same `cache_salt`, and answers only to its own
    names."""
    schedules: bool = False
    """Whether its engine takes waiting requests in the order of their `priority`, too."""


class Key(Frozen):
    """An API key as gateways know it, without the key itself."""

    id: Name
    sha256: Sha256
    models: tuple[Name, ...] = ()
    """Models it may use; empty means all."""
    expires: datetime | None = None
    requests_per_minute: int = 0
    """Over all gateways; 0: no limit."""
    concurrency: int | None = 0
    """Concurrent requests at each gateway; 0: no limit; None: the gateway's default."""
    server: str = ""
    """HAProxy's name for the server that this key's requests go to, even if it is drained; if it is down, any other
    server answers. "": any server."""
    side: Side = ""
    """Who answers its requests. Only keys that rackwright lends itself choose."""
    owner: str = ""
    """Whose quota its tokens count for; "": a key of rackwright's own."""
    priority: int = 0
    """In which order its requests wait: the lowest number first, -2047 to 2047."""
    tokens_per_day: int = 0
    """Over all gateways; 0: no quota of its own."""
    tokens_per_month: int = 0
    version: int = 0
    """Of two descriptions of a key, the one with the greater version applies."""
    about: Line = "a key of a run"
    """Its owner and what it may do, in words."""


class RevokedKey(Frozen):
    """An API key that every gateway rejects from now on."""

    sha256: Sha256
    about: Line


class Peer(Frozen):
    """Another gateway of the fleet."""

    name: Name
    address: AddressField
    port: Port = PEERS_PORT


class Settings(Frozen):
    name: Name
    """The host's name, by which the gateways know one another."""
    domain: Line
    address: AddressField
    """The gateway listens on this address and on the virtual one, and on no other."""
    vip: AddressField | None = None
    """The virtual address of all gateways; it may move to and from this gateway at any time."""
    port: Port = 443
    tls: Tls = "intermediate"
    certificate: Line
    """Name of the certificate role's files that are shown to clients."""
    client_certificate: Line
    """Name of the certificate role's files shown to host proxies and to other gateways."""
    models: tuple[RoutedModel, ...]
    clouds: tuple[Cloud, ...] = ()
    keys: tuple[Key, ...]
    revoked: tuple[RevokedKey, ...] = ()
    peers: tuple[Peer, ...] = ()
    """The fleet's other gateways."""
    peers_port: Port = PEERS_PORT
    response_timeout_seconds: int = 3600
    queue_timeout_seconds: int = 60
    """How long a request may wait for the end of planned downtime, and then again for a free slot."""
    downtime: Downtime = "queue"
    cors: tuple[Origin, ...] = ()
    """Origins whose pages may use the API from a browser."""
    max_request_bytes: int = 20971520
    """A request with a larger body is refused."""
    large_requests: int = 64
    """How many requests larger than a usual one may be on their way through the gateway."""
    key_concurrency: int = 100
    """Concurrent requests of a key that has no limit of its own; 0: no limit."""
    captures: HostPath | None = None
    """Socket of the unit that records requests for a migration; None: this gateway records none."""
    connections: int = 4000
    """Maximum number of connected clients at each address, including idle ones."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that names a model in its body."""
        return tuple(sorted({*BASIC_PATHS, *(path for model in self.models for path in model.apis)}))

    @property
    def with_engines(self) -> tuple[RoutedModel, ...]:
        """The models that aren't only a cloud's."""
        return tuple(model for model in self.models if model.digest)

    @property
    def leaving(self) -> tuple[RoutedModel, ...]:
        """The models that a cutover may move: they have an engine, and a cloud."""
        return tuple(model for model in self.with_engines if model.cloud)

    @property
    def accepted(self) -> str:
        """The table of the requests that this gateway accepted, by key, side, hour and worker."""
        return f"gateways/accepted.{self.name}"

    @property
    def longest_connection_seconds(self) -> int:
        """For how long a worker that was replaced may have connections."""
        return longest_connection(self.response_timeout_seconds, self.queue_timeout_seconds)

    @property
    def units(self) -> tuple[str, ...]:
        """Every systemd unit of this role."""
        return ("rackwright-reader.service", "rackwright-gateway.service")
