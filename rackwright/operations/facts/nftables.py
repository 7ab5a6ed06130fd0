"""Our table of the packet filter: what is live, what was loaded last, whether it waits for confirmation."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from pyinfra.api.facts import FactBase

TABLE = "inet rackwright"
LIVE = "/var/lib/rackwright/firewall.live"
"""What `nft -s list table` printed right after we loaded it, below a line with the sha256 of the file loaded."""
TIMER = "rackwright-firewall-revert.timer"
FOREIGN = ("ufw", "firewalld")
"""Packet filters that fight over the same input chain."""


@dataclass(frozen=True)
class Filter:
    listed: str | None = None
    """The table as it acts now; None: there is none."""
    loaded: str | None = None
    """The sha256 of the file that was loaded last; None: unknown."""
    remembered: str = ""
    """The table as it was listed then. Another `listed` means that someone changed it since."""
    pending: bool = False
    """The old rules come back when the timer ends."""
    active: tuple[str, ...] = ()
    """Of FOREIGN."""
    enabled: tuple[str, ...] = ()
    """Of FOREIGN: those that would start at boot."""

    def acts(self, sha256: str) -> bool:
        """Whether the file with this sha256 is what acts now, unchanged."""
        return self.listed is not None and self.loaded == sha256 and self.listed == self.remembered


class FilterState(FactBase[Filter]):
    """Return the state of our table, and of packet filters that others brought."""

    def command(self) -> str:
        foreign = " ".join(FOREIGN)
        return (
            f'if table=$(nft -s list table {TABLE} 2>/dev/null); then printf "listed="; '
            'printf "%s\\n" "$table" | base64 -w 0; echo; fi; '
            f"if [ -f {LIVE} ]; then printf 'live='; base64 -w 0 {LIVE}; echo; fi; "
            f"if systemctl -q is-active {TIMER}; then echo pending=yes; fi; "
            # ufw's service is active even where ufw itself was never enabled.
            f"for u in {foreign}; do "
            '[ "$u" != ufw ] || grep -qs "^ENABLED=yes" /etc/ufw/ufw.conf || continue; '
            '! systemctl -q is-active "$u" || echo "active=$u"; '
            '! systemctl -q is-enabled "$u" 2>/dev/null || echo "enabled=$u"; '
            "done"
        )

    @staticmethod
    def default() -> Filter:
        return Filter()

    def process(self, output: list[str]) -> Filter:
        pairs = [line.partition("=")[::2] for line in output]
        told = dict(pairs)
        live = base64.b64decode(told.get("live", "")).decode(errors="replace")
        first, _, remembered = live.partition("\n")
        return Filter(
            listed=base64.b64decode(told["listed"]).decode(errors="replace") if "listed" in told else None,
            loaded=first.removeprefix("# ") if live else None,
            remembered=remembered,
            pending="pending" in told,
            active=tuple(value for key, value in pairs if key == "active"),
            enabled=tuple(value for key, value in pairs if key == "enabled"),
        )
