"""The usage of a gateway: its program, its unit, and where it keeps its documents."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.text import Name

FOLDER = "/etc/rackwright/usage"
"""The program, the scripts that ask and tell HAProxy, and the teams' quotas."""
ASK, TELL, QUOTAS = "ask", "tell", "quotas.json"
"""Names of these files in the folder."""
SERVICE, TIMER = "rackwright-usage.service", "rackwright-usage.timer"
UNITS = (SERVICE, TIMER)
"""They run on each gateway."""
STATE_NAME = "rackwright/usage"
STATE = f"/var/lib/{STATE_NAME}"
"""Root's folder, which backups have."""
OFTEN_SECONDS, SELDOM_SECONDS = 5, 60
"""How often usage is brought up to date with and without quotas."""


class TeamQuota(Frozen):
    """How many tokens the keys of one owner may use, over all gateways. 0: any number."""

    team: Name
    tokens_per_day: int = 0
    tokens_per_month: int = 0


class Settings(Frozen):
    gateway: Name
    others: tuple[Name, ...] = ()
    """The other gateways, whose sums this one's HAProxy has, too."""
    teams: tuple[TeamQuota, ...] = ()
    limits_keys: bool = False
    """Whether a key has a quota of its own."""

    @property
    def every_seconds(self) -> int:
        """How often usage is brought up to date."""
        return OFTEN_SECONDS if self.teams or self.limits_keys else SELDOM_SECONDS
