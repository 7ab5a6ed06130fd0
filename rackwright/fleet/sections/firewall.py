"""`firewall`: which networks may reach which ports."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from rackwright.fleet.sections.forms import TEXT_OR_LIST, Hosts
from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import NetworkField
from rackwright.values.text import Reason


class Allow(Frozen):
    on: Hosts
    from_: Annotated[
        Annotated[NetworkField, Tag("text")] | Annotated[tuple[NetworkField, ...], Field(min_length=1), Tag("list")],
        TEXT_OR_LIST,
        Field(alias="from"),
    ]
    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"
    at: Literal["address", "service", "fabric"] | None = None
    """Which of the host's networks; all if absent."""
    why: Reason


class Firewall(Frozen):
    admin_from: Annotated[tuple[NetworkField, ...], Field(min_length=1)]
    """Networks that may reach sshd."""
    clients_from: Annotated[tuple[NetworkField, ...], Field(min_length=1)]
    """Networks that may reach the gateways' port 443."""
    admin_at: Literal["address", "any"] = "address"
    """Where sshd accepts connections on a host with a separate service or fabric network."""
    allow: tuple[Allow, ...] = ()
    existing: Literal["replace", "keep"] | None = None
    """What to do with an active ufw, firewalld, Docker, Kubernetes or packet forwarding; if absent, apply refuses."""
