"""`gateway`: the entry point for clients, and its timeouts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from rackwright.values.amounts import Seconds, Size
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField, DnsName
from rackwright.values.paths import ControllerPath
from rackwright.values.secrets import SecretReference
from rackwright.values.text import Name, Origin

_MOST = 1_000_000


def _concurrency(value: object) -> object:
    number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST
    if not number and value != "unlimited":
        raise ValueError(f"should be a number from 1 to {_MOST}, or unlimited")
    return value


Concurrency = Annotated[
    int | Literal["unlimited"],
    BeforeValidator(_concurrency),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": _MOST}, {"const": "unlimited"}]}),
]


class OwnCertificate(Frozen):
    """Your own certificate instead of one from the fleet's CA."""

    certificate: ControllerPath
    """A PEM file with the certificate and its chain; a relative path starts at the fleet file's folder."""
    key: SecretReference


class Gateway(Frozen):
    on: Annotated[tuple[Name, ...], Field(min_length=1)]
    domain: DnsName
    vip: AddressField | None = None
    """One virtual address for all gateways, in their service network; one healthy gateway has it at a time."""
    certificate: OwnCertificate | None = None
    tls: Literal["intermediate", "modern"] = "intermediate"
    """Mozilla's profile for clients. Modern: TLS 1.3 only, and a certificate that lasts 90 days at most."""
    cors: tuple[Origin, ...] = ()
    """Web pages of these origins, like https://chat.acme.internal, may use the API from a browser."""
    queue_timeout: Annotated[Seconds, Field(ge=1, le=3600)] = 60
    """How long a request may wait for a free slot, or for a replica during planned downtime."""
    response_timeout: Annotated[Seconds, Field(ge=1, le=86400)] = 3600
    max_request: Annotated[Size, Field(ge=65536, le=67108864)] = 20971520
    """Bytes of a request's body. A gateway keeps a request in memory until it is complete."""
    large_requests: Annotated[int, Field(ge=2, le=1000)] = 64
    """How many requests larger than 256 KiB each gateway may have at the same time. They bound its memory."""
    key_concurrency: Concurrency = 100
    """Requests that a key without a `concurrency` of its own may have at each gateway at the same time."""
