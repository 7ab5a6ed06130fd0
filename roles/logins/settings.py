"""Forgotten logins at the console end; passwords must be strong."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rackwright.values.amounts import Seconds
from rackwright.values.base import Frozen
from rackwright.values.text import Manage

PROFILE = "/etc/profile.d/60-rackwright.sh"


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves logins at the console and passwords as they are."""
    console_timeout: Annotated[Seconds, Field(ge=60, le=86400)] = 900
    """Time after which an idle shell at the console ends, the server's remote console included; not over SSH."""
