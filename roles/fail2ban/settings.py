"""Temporary bans for addresses with repeated failed logins."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rackwright.values.amounts import Seconds
from rackwright.values.base import Frozen
from rackwright.values.network import NetworkField
from rackwright.values.text import Manage

JAIL = "/etc/fail2ban/jail.d/rackwright.conf"


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves fail2ban as it is."""
    maxretry: Annotated[int, Field(ge=1, le=1000)] = 5
    """Failed logins from one address until it is banned."""
    findtime: Annotated[Seconds, Field(ge=1)] = 600
    """How long a failure counts."""
    bantime: Annotated[Seconds, Field(ge=1)] = 3600
    """How long the address is banned from sshd."""
    ignoreip: tuple[NetworkField, ...] | None = None
    """Networks that are never banned, in addition to the fleet's hosts; `firewall.admin_from` when absent."""
