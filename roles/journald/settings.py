"""How much the journal keeps, how long, and where it forwards lines."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from rackwright.values.amounts import Seconds, Size
from rackwright.values.base import Frozen
from rackwright.values.network import host_address
from rackwright.values.text import Manage

DROP_IN = "/etc/systemd/journald.conf.d/60-rackwright.conf"
RSYSLOG = "/etc/rsyslog.d/60-rackwright.conf"


def _endpoint(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not (port.isdecimal() and 0 < int(port) < 65536) or (":" in host and not re.fullmatch(r"\[.*\]", host)):
        raise ValueError("should be HOST:PORT, like logs.acme.internal:514 or [fd00::9]:514")
    if host_address(host.strip("[]")).startswith("@"):
        raise ValueError("should be HOST:PORT, like logs.acme.internal:514 or [fd00::9]:514")
    return text


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves the journal as it is."""
    system_max_use: Annotated[Size, Field(ge=64 * 2**20)] = 4 * 2**30
    """Disk space that the journal may use; the oldest lines are removed first."""
    max_retention: Annotated[Seconds, Field(ge=86400)] = 90 * 86400
    """Longest time that a line is kept, if the space suffices; this includes the gateways' access logs."""
    forward_to: Annotated[str, AfterValidator(_endpoint)] | None = None
    """HOST:PORT of a syslog server that every line is also sent to, over plain TCP; not forwarded when absent."""

    @property
    def server(self) -> tuple[str, int] | None:
        """Host and port of `forward_to`."""
        host, _, port = (self.forward_to or "").rpartition(":")
        return (host.strip("[]"), int(port)) if port else None
