"""`p2p`: how weights go from host to host, in place of a download of each."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.text import Name

_BITS = {"Mbit": 10**6, "Gbit": 10**9}


def parse_rate(value: object) -> int:
    """Given "400Mbit" or "2.5Gbit", return whole bytes a second. Raise ValueError if it is neither."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(Mbit|Gbit)", value) if isinstance(value, str) else None
    if not match:
        raise ValueError("should be a rate like 400Mbit or 2.5Gbit, a second")
    return round(float(match[1]) * _BITS[match[2]] / 8)


Rate = Annotated[
    int,
    BeforeValidator(parse_rate),
    Field(ge=125_000, le=2_000_000_000),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,6}([.][0-9]{1,3})?(Mbit|Gbit)$"}),
]
"""Bytes a second."""


class PeerToPeer(Frozen):
    from_: Annotated[Name | None, Field(alias="from")] = None
    """Which host fetches weights that no host has yet; the first that a model is placed on when absent."""
    port: Port = 8301
    """TCP, open in the fabric network to the fleet's other serving hosts."""
    rate: Rate | None = None
    """What one host sends and receives at most; no limit when absent."""
