"""`p2p`: peer-to-peer transfer of weights between hosts, instead of a download by each host."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.text import Name

_BITS = {"Mbit": 10**6, "Gbit": 10**9}


def parse_rate(value: object) -> int:
    """Given "400Mbit" or "2.5Gbit", return whole bytes per second. Raise ValueError for other values."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(Mbit|Gbit)", value) if isinstance(value, str) else None
    if not match:
        raise ValueError("should be a rate per second, like 400Mbit or 2.5Gbit")
    return round(float(match[1]) * _BITS[match[2]] / 8)


Rate = Annotated[
    int,
    BeforeValidator(parse_rate),
    Field(ge=125_000, le=2_000_000_000),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,6}([.][0-9]{1,3})?(Mbit|Gbit)$"}),
]
"""Bytes per second."""


class PeerToPeer(Frozen):
    from_: Annotated[Name | None, Field(alias="from")] = None
    """The host that downloads weights that no host has yet; if absent, the first host of a model's place."""
    port: Port = 8301
    """The TCP port, open in the fabric network to the fleet's other serving hosts."""
    rate: Rate | None = None
    """The most that one host sends or receives; no limit if absent."""
