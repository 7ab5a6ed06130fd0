"""Where a gateway keeps recorded requests, and the orders of the unit that writes them."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.values.base import Stored

FOLDER = "/etc/rackwright/capture"
SERVICE, SOCKET_UNIT = "rackwright-capture.service", "rackwright-capture.socket"
UNITS = (SERVICE, SOCKET_UNIT)
"""Installed on each gateway of a fleet with `clouds`; without orders they don't start."""
USER = "rw_capture"
"""No model's user has this name."""
SOCKET = "/run/rackwright-capture/records.sock"
"""systemd makes it, in a folder of root; only HAProxy's user may connect."""
STATE = "/var/lib/rackwright-capture"
"""Root's folder. It isn't in backups, and no apply removes it."""
ORDERS = f"{STATE}/capture.json"
"""What to record. If it is absent, the unit doesn't start."""
FILES = f"{STATE}/files"
"""The user's folder, with one folder per migration."""
RESERVE = 2 * 2**30
"""The capture ends when the disk has fewer free bytes."""


class Orders(Stored):
    """What the unit gets at run time."""

    format: str = "capture/1"
    migration: str
    recipient: str
    """The public key of age that everything is encrypted for."""
    until: int
    """When the capture ends, Unix seconds, by the gateway's clock."""
    size: int
    """The most bytes on disk, encrypted."""
    request: int
    """The largest body, in bytes."""
    reserve: int = RESERVE
    redact: Mapping[str, str] = {}
    """More kinds of text to replace → regular expression."""
