"""Our packet filter table: the live rules, the rules loaded last, and whether they wait for confirmation."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api.facts import FactBase

from rackwright.operations.facts.systemctl_show import shown_units
from rackwright.operations.undoable import Undoable

TABLE = "inet rackwright"
LIST = "nft -sp list table"
"""Lists a table so that it can be compared later: without -p, protocols have names as soon as there is
/etc/protocols, which the package netbase brings."""
LIVE = "/var/lib/rackwright/firewall.live"
"""The output of LIST right after we loaded the table, below a line with the loaded file's sha256."""
FIREWALL = Undoable("firewall")
_SHOWN = ("Id=", "ActiveState=", "UnitFileState=")
FOREIGN = ("ufw", "firewalld")
"""Packet filters that compete for the input chain."""


@dataclass(frozen=True)
class Filter:
    listed: str | None = None
    """The active table; None: there is none."""
    loaded: str | None = None
    """The sha256 of the file that was loaded last; None: unknown."""
    remembered: str = ""
    """The table as it was listed then. If `listed` differs, someone has changed it since."""
    pending: bool = False
    """Whether a timer is going to restore the old rules."""
    active: tuple[str, ...] = ()
    """Those of FOREIGN that are active."""
    enabled: tuple[str, ...] = ()
    """Those of FOREIGN that start at boot."""

    def acts(self, sha256: str) -> bool:
        """Return whether the file with this sha256 is active and unchanged."""
        return self.listed is not None and self.loaded == sha256 and self.listed == self.remembered


class FilterState(FactBase[Filter]):
    """Return the state of our table and of other packet filters."""

    def command(self) -> str:
        units = " ".join((FIREWALL.timer, *(f"{name}.service" for name in FOREIGN)))
        return (
            f"{LIST} {TABLE} 2>/dev/null | sed 's/^/listed=/'; "
            f"if [ -f {LIVE} ]; then sed 's/^/live=/' {LIVE}; fi; "
            # ufw's service is active even if ufw itself was never enabled.
            "if [ -f /etc/ufw/ufw.conf ] && grep -q '^ENABLED=yes' /etc/ufw/ufw.conf; then echo ufw=yes; fi; "
            f"systemctl show -p Id,ActiveState,UnitFileState -- {units}"
        )

    @staticmethod
    def default() -> Filter:
        return Filter()

    def process(self, output: list[str]) -> Filter:
        pairs = [line.partition("=")[::2] for line in output]
        listed, live = (_text(pairs, key) for key in ("listed", "live"))
        loaded, _, remembered = live.partition("\n")
        units = shown_units(line for line in output if line.startswith(_SHOWN))
        absent = () if ("ufw", "yes") in pairs else ("ufw",)
        return Filter(
            listed=listed or None,
            loaded=loaded.removeprefix("# ") if live else None,
            remembered=remembered,
            pending=units.get(FIREWALL.timer, {}).get("ActiveState") == "active",
            active=_being(units, "ActiveState", "active", absent),
            enabled=_being(units, "UnitFileState", "enabled", absent),
        )


def _text(pairs: list[tuple[str, str]], wanted: str) -> str:
    return "".join(f"{value}\n" for key, value in pairs if key == wanted)


def _being(units: dict[str, dict[str, str]], key: str, state: str, absent: tuple[str, ...]) -> tuple[str, ...]:
    present = (name for name in FOREIGN if name not in absent)
    return tuple(name for name in present if units.get(f"{name}.service", {}).get(key) == state)
