"""What systemd knows of one unit."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api.facts import FactBase

_PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload")
RUNNING = ("active", "activating", "reloading", "refreshing")
"""A Type=notify unit that still starts counts: a model takes minutes to load."""


@dataclass(frozen=True)
class Unit:
    load: str = "not-found"
    active: str = "inactive"
    file: str = ""
    """UnitFileState: enabled, disabled, static, masked, … or nothing where there is no such file."""
    stale: bool = False
    """The unit's file changed since systemd read it."""
    newer: tuple[str, ...] = ()
    """Of the files asked for: those written since the unit was started."""
    unread: tuple[str, ...] = ()
    """Of the files asked for: those written since the unit was started or reloaded."""

    @property
    def runs(self) -> bool:
        return self.active in RUNNING


class UnitState(FactBase[Unit]):
    """Given a unit and files that it reads, return the unit's state and which files it hasn't seen yet.

    Times: InactiveExitTimestamp (a start began), StateChangeTimestamp (a reload ends with one) of systemctl(1).
    """

    def command(self, unit: str, files: tuple[str, ...] = ()) -> str:
        quoted = shlex.quote(unit)
        properties = " ".join(f"-p {name}" for name in _PROPERTIES)
        asked = f"systemctl show {properties} -- {quoted}"
        return f"{asked}; {_comparison(quoted, files)}" if files else asked

    @staticmethod
    def default() -> Unit:
        return Unit()

    def process(self, output: list[str]) -> Unit:
        pairs = [line.partition("=")[::2] for line in output]
        told = dict(pairs)
        return Unit(
            load=told.get("LoadState", "not-found"),
            active=told.get("ActiveState", "inactive"),
            file=told.get("UnitFileState", ""),
            stale=told.get("NeedDaemonReload") == "yes",
            newer=tuple(value for key, value in pairs if key == "newer"),
            unread=tuple(value for key, value in pairs if key == "unread"),
        )


def _comparison(unit: str, files: tuple[str, ...]) -> str:
    # A file dated in the future (a clock that was set back) would otherwise restart its unit on every run.
    listed = " ".join(shlex.quote(file) for file in files)
    return (
        f'at() {{ date -d "$(systemctl show --timestamp=us -p "$1" --value -- {unit})" +%s%6N; }}; '
        "started=$(at InactiveExitTimestamp) && changed=$(at StateChangeTimestamp) && now=$(date +%s%6N) && "
        f"for f in {listed}; do "
        'written=$(date -r "$f" +%s%6N 2>/dev/null) || continue; [ "$written" -le "$now" ] || continue; '
        '[ "$written" -le "$started" ] || printf "newer=%s\\n" "$f"; '
        '[ "$written" -le "$changed" ] || printf "unread=%s\\n" "$f"; '
        "done; true"
    )
