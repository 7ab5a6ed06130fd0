"""The ledger of a gateway: its program, its unit, and where it keeps its document."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.text import Name

FOLDER = "/etc/rackwright/ledger"
"""The program, and the script that asks HAProxy."""
TABLES = "tables"
"""Name of that script in the folder."""
SERVICE, TIMER = "rackwright-ledger.service", "rackwright-ledger.timer"
UNITS = (SERVICE, TIMER)
"""They run on each gateway of a fleet with `clouds`."""
STATE_NAME = "rackwright-ledger"
STATE = f"/var/lib/{STATE_NAME}"
"""Root's folder. It isn't in backups, and no apply removes it."""
DOCUMENT = f"{STATE}/ledger.json"


class Settings(Frozen):
    gateway: Name
    others: tuple[Name, ...] = ()
    """The other gateways, whose counts this one's HAProxy has, too."""
    every_seconds: int = 60
