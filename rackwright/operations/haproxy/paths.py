"""Paths of one HAProxy's files."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from rackwright.values.network import Address

DRAINS = "/var/lib/rackwright/drains"
"""One file per drained server, with the server's name, so that a manual drain survives a reboot."""

WORKERS = Path(__file__).parent / "templates" / "workers.sh"
"""Shell functions that send questions and commands to HAProxy's workers. They need $run and $configuration."""


@dataclass(frozen=True)
class Paths:
    """Folders of one proxy on its host. Tests use other ones."""

    configuration: str
    """Rendered files."""
    run: str
    """Sockets, and certificates with their decrypted keys (NAME.pem); gone when the unit stops."""
    certificates: str = "/etc/rackwright/certificates"
    log: str = "/dev/log"


def endpoint(address: Address, port: int) -> str:
    """Return ADDRESS:PORT in HAProxy's format."""
    return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"
