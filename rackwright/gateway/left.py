"""The record of a gateway that has left: who took it out of service, and why."""

from __future__ import annotations

from datetime import datetime

from rackwright.roles.gateway.settings import FOLDER, LEFT
from rackwright.values.base import Stored

LEFT_COMMAND = f"cat {FOLDER}/{LEFT} 2>/dev/null || true"
"""Prints a gateway's record, without asking HAProxy."""


class LeftRecord(Stored):
    """Why a gateway takes no connections. It is stored on the gateway, because it outlasts reloads and reboots."""

    format: str = "left/1"
    who: str
    reason: str
    manual: bool
    """Whether an operator took it out of service; then only an operator lets it rejoin."""
    time: datetime


def parse_left(text: str) -> LeftRecord | None:
    """Given the output of LEFT_COMMAND, return the record; None: the gateway hasn't left.

    Raise ValueError if there is a record that can't be read.
    """
    entry = text.strip()
    return LeftRecord.model_validate_json(entry.removeprefix("left ")) if entry else None
