"""Where one HAProxy of ours keeps its files."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from rackwright.values.network import Address

DRAINS = "/var/lib/rackwright/drains"
"""One file per drained server, named as the server: what is drained by hand stays drained over a reboot."""

WORKERS = Path(__file__).parent / "templates" / "workers.sh"
"""Shell functions that ask and tell HAProxy's workers. They need $run and $configuration."""


@dataclass(frozen=True)
class Paths:
    """Folders of one proxy on its host. Tests put them elsewhere."""

    configuration: str
    """Rendered files."""
    run: str
    """Sockets, and certificates with their decrypted keys (NAME.pem); gone when the unit stops."""
    certificates: str = "/etc/rackwright/certificates"
    log: str = "/dev/log"


def endpoint(address: Address, port: int) -> str:
    """Return ADDRESS:PORT as HAProxy reads it."""
    return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"
