"""Paths of one HAProxy's files."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from rackwright.values.network import Address

DRAINS = "/var/lib/rackwright/drains"
"""One file per drained server, with the server's name, so that a manual drain survives a reboot."""

CLOUD_KEYS = "clouds.map"
"""Name of the file in the run folder with the keys of clouds: cloud → key."""

WORKERS = Path(__file__).parent / "templates" / "workers.sh"
"""Shell functions that send questions and commands to HAProxy's workers.

They need $run, $asks_as and $configuration.
"""


@dataclass(frozen=True)
class Paths:
    """Folders of one proxy on its host. Tests use other ones."""

    configuration: str
    """Rendered files."""
    run: str
    """Certificates with their decrypted keys (NAME.pem), and the servers' states; gone when the unit stops.

    It is root's; HAProxy's user reads it.
    """
    certificates: str = "/etc/rackwright/certificates"
    clouds: str = "/etc/rackwright/cloud"
    """What belongs to clouds: NAME.key.cred, each cloud's key as an encrypted credential, and NAME.ca.crt."""
    cloud_sockets: str = "/run/rackwright-cloud"
    """NAME.sock leads to a cloud through a proxy."""
    log: str = "/dev/log"
    asks_as: str = "haproxy"
    """The user that root becomes to connect to a socket: HAProxy's own, because that user can put links there."""

    @property
    def sockets(self) -> str:
        """The folder of HAProxy's user. Root writes nothing there."""
        return f"{self.run}/sockets"


def endpoint(address: Address, port: int) -> str:
    """Return ADDRESS:PORT in HAProxy's format."""
    return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"
