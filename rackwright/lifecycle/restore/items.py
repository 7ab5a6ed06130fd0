"""What of a host's state a restore brings back, and how each part is combined with what the host has now."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rackwright.state.shell import FOLDER


class Combined(StrEnum):
    """How a part of the snapshot is combined with the host's own."""

    FILES = "files"
    """Each file of the snapshot takes the place of the host's; files that only the host has stay."""
    WHOLE = "whole"
    """The snapshot's takes the place of the host's, unless the host's is newer."""
    HISTORY = "history"
    """Merged: nothing that the host has is removed or goes back."""
    MISSING = "missing"
    """Folders that the host lacks are restored. Apply hashes their files before it uses them."""


@dataclass(frozen=True)
class Item:
    """One part of a host's state."""

    name: str
    """Name below /var/lib/rackwright."""
    what: str
    combined: Combined = Combined.FILES
    mode: str = "0755"
    """Of its folders; files in a folder that only root may enter have 0600, others 0644."""

    is_file: bool = False
    """Else a folder."""

    @property
    def path(self) -> str:
        return f"{FOLDER}/{self.name}"


AUDIT = Item("audit.log", "audit log", Combined.HISTORY, is_file=True)
CONTROL = Item("control", "journal and fencing token", Combined.HISTORY)
"""Its lease is never restored."""
CONTROL_HOST = Item("control-host.json", "record of the control host", Combined.HISTORY, is_file=True)
KEYS = Item("keys.pushed", "changes of API keys", Combined.HISTORY, is_file=True)
USAGE = Item("usage", "usage", Combined.HISTORY)
FLEET = Item("fleet", "applied fleet", Combined.WHOLE, "0700")
FOLDERS = (
    Item("drains", "drains"),
    Item("golden", "golden answers"),
    Item("bench", "measurements"),
    Item("canaries", "verdicts on canaries"),
    Item("migrations", "logs and results of migrations"),
    Item("evidence", "evidence of hung engines", mode="0700"),
)
SAVED = (
    Item("builds", "builds that only the controller has", Combined.MISSING),
    Item("packages", "packages of driver and CUDA", Combined.MISSING),
)
ITEMS = (AUDIT, CONTROL, CONTROL_HOST, KEYS, USAGE, FLEET, *FOLDERS, *SAVED)
NOT_RESTORED = {
    "record.json": "apply writes it",
    "firewall.live": "apply writes it",
    "before": "units that this host no longer runs",
    "apt-sources": "apply sets aside the sources of the system that is there now",
    "read": "shared folders are read again",
}
"""Name below /var/lib/rackwright → why a restore leaves it as it is."""
