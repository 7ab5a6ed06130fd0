"""How much the journal keeps, and for how long."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rackwright.values import Frozen, Manage, Seconds, Size

DROP_IN = "/etc/systemd/journald.conf.d/60-rackwright.conf"


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves the journal as it is."""
    max_use: Annotated[Size, Field(ge=64 * 2**20)] = 4 * 2**30
    """What the journal may take on disk; the oldest lines go first."""
    keep: Annotated[Seconds, Field(ge=86400)] = 90 * 86400
    """How long a line stays at most, where there is room; the gateways' access logs are lines, too."""
