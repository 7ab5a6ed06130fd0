"""The state of units in systemd."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from pyinfra.api.facts import FactBase

from rackwright.operations.facts.systemctl_show import shown_units

RUNNING = ("active", "activating", "reloading", "refreshing")
"""A Type=notify unit that is still starting counts as running, because a model takes minutes to load."""
_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "NeedDaemonReload",
    "InactiveExitTimestamp",
    "StateChangeTimestamp",
    "ConditionResult",
    "ConditionTimestamp",
)
SYSTEM_UNITS = (
    "apparmor.service",
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "auditd.service",
    "chrony.service",
    "fail2ban.service",
    "ntpsec.service",
    "openntpd.service",
    "rsyslog.service",
    "systemd-journald.service",
    "systemd-timesyncd.service",
)
"""Units of the distribution that the baseline manages."""


@dataclass(frozen=True)
class Unit:
    load: str = "not-found"
    active: str = "inactive"
    file: str = ""
    """UnitFileState: enabled, disabled, static, masked, … or empty if there is no such file."""
    stale: bool = False
    """Whether the unit's file has changed since systemd read it."""
    started: float | None = None
    """When its last start began, in seconds since 1970; None: never since boot."""
    changed: float | None = None
    """When its state last changed; a reload ends with a change."""
    held_back: bool = False
    """Whether its own conditions prevented its last start, as in a container."""

    @property
    def runs(self) -> bool:
        return self.active in RUNNING


class UnitState(FactBase[Unit]):
    """Given a unit, return its state. Times are InactiveExitTimestamp and StateChangeTimestamp of systemctl(1)."""

    def command(self, unit: str) -> str:
        return f"systemctl show --timestamp=us+utc -p {','.join(_PROPERTIES)} -- {shlex.quote(unit)}"

    @staticmethod
    def default() -> Unit:
        return Unit()

    def process(self, output: list[str]) -> Unit:
        return _unit(dict(line.partition("=")[::2] for line in output))


class OurUnitStates(FactBase[dict[str, Unit]]):
    """Return the state of every rackwright-* unit with a file in /etc/systemd/system, except templates.

    One question covers all of a host's units, because a call of systemctl costs as much as all other questions about
    a unit.
    """

    def command(self) -> str:
        return (
            "cd /etc/systemd/system 2>/dev/null && for u in rackwright-*; do case $u in "
            '*@.*|*.d|*[*]*) ;; *.service|*.timer|*.socket|*.path|*.target|*.slice) set -- "$@" "$u" ;; esac; done; '
            f'[ $# = 0 ] || systemctl show --timestamp=us+utc -p Id,{",".join(_PROPERTIES)} -- "$@"'
        )

    @staticmethod
    def default() -> dict[str, Unit]:
        return {}

    def process(self, output: list[str]) -> dict[str, Unit]:
        return dict(_units(tuple(output)))


class SystemUnitStates(FactBase[dict[str, Unit]]):
    """Return the state of every unit of SYSTEM_UNITS, installed or not. All roles share this one question."""

    def command(self) -> str:
        return f"systemctl show --timestamp=us+utc -p Id,{','.join(_PROPERTIES)} -- {' '.join(SYSTEM_UNITS)}"

    @staticmethod
    def default() -> dict[str, Unit]:
        return {}

    def process(self, output: list[str]) -> dict[str, Unit]:
        return dict(_units(tuple(output)))


# Every operation on a unit parses the same answer.
@lru_cache(maxsize=4)
def _units(output: tuple[str, ...]) -> Mapping[str, Unit]:
    return {unit: _unit(properties) for unit, properties in shown_units(output).items()}


def _unit(properties: dict[str, str]) -> Unit:
    return Unit(
        load=properties.get("LoadState", "not-found"),
        active=properties.get("ActiveState", "inactive"),
        file=properties.get("UnitFileState", ""),
        stale=properties.get("NeedDaemonReload") == "yes",
        started=_seconds(properties.get("InactiveExitTimestamp", "")),
        changed=_seconds(properties.get("StateChangeTimestamp", "")),
        held_back=properties.get("ConditionResult") == "no"
        and _seconds(properties.get("ConditionTimestamp", "")) is not None,
    )


def _seconds(timestamp: str) -> float | None:
    """Given "Wed 2026-11-25 08:59:12.345678 UTC", return seconds since 1970; None for anything else."""
    moment, _, zone = timestamp.partition(" ")[2].rpartition(" ")
    with suppress(ValueError):
        return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() if zone == "UTC" else None
    return None


class WrittenAt(FactBase[dict[str, float]]):
    """Given files, return when each existing one was last written, in seconds since 1970.

    A file with a time in the future (the clock was set back) is left out, because it would always look newer than
    its unit.
    """

    def command(self, files: tuple[str, ...]) -> str:
        return f"date +%s.%6N; stat -c '%.6Y %n' -- {' '.join(shlex.quote(file) for file in files)} 2>/dev/null; true"

    @staticmethod
    def default() -> dict[str, float]:
        return {}

    def process(self, output: list[str]) -> dict[str, float]:
        now, *lines = output
        times = {path: float(seconds) for seconds, _, path in (line.partition(" ") for line in lines)}
        return {path: seconds for path, seconds in times.items() if seconds <= float(now)}
