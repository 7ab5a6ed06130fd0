"""`gateway`: where clients come in, and how long they may wait."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rackwright.values.amounts import Seconds
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField, DnsName
from rackwright.values.paths import ControllerPath
from rackwright.values.secrets import SecretReference
from rackwright.values.text import Name


class OwnCertificate(Frozen):
    """A certificate of the operator's instead of one of the fleet's CA."""

    certificate: ControllerPath
    """PEM file with the chain, beside the fleet file."""
    key: SecretReference


class Gateway(Frozen):
    on: Annotated[tuple[Name, ...], Field(min_length=1)]
    domain: DnsName
    vip: AddressField | None = None
    """One address for all gateways, in their service network: whichever of them answers has it."""
    certificate: OwnCertificate | None = None
    queue_timeout: Annotated[Seconds, Field(ge=1, le=3600)] = 60
    """How long a request may wait for a free slot, or in a planned downtime for a replica."""
    response_timeout: Annotated[Seconds, Field(ge=1, le=86400)] = 3600
