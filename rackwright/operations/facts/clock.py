"""A host's clock, and the daemon that synchronizes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rackwright.operations.facts.unit import Unit

CHRONY = "chrony.service"
TIMESYNCD = "systemd-timesyncd.service"
KEEPERS = (CHRONY, "ntpsec.service", "openntpd.service", TIMESYNCD)
"""Known daemons, in order of preference."""
CLOCK_COMMAND = """
if systemd-detect-virt --container --quiet; then echo synchronized container
else echo "synchronized $(timeout 5 timedatectl show -p NTPSynchronized --value)"; fi 2>/dev/null
date '+time %s.%N'
"""
"""Prints the time last, so that nothing comes between it and the answer."""
_TIME = re.compile(r"[0-9]{1,12}\.[0-9]{9}")


class Synchronized(StrEnum):
    """Whether a clock is synchronized, as the kernel says (timedatectl's NTPSynchronized)."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    CONTAINER = "container"
    """The clock belongs to the machine that the container runs on."""


@dataclass(frozen=True)
class Clock:
    """A host's clock."""

    time: float
    """Seconds since 1970."""
    synchronized: Synchronized


def parse_clock(output: str) -> Clock:
    """Parse CLOCK_COMMAND's output. Raise ValueError if there is no time in it."""
    said = dict(line.split(" ", 1) for line in output.splitlines() if " " in line)
    if not _TIME.fullmatch(said.get("time", "")):
        raise ValueError("no time")
    known = {word.value: word for word in Synchronized}
    return Clock(float(said["time"]), known.get(said.get("synchronized", ""), Synchronized.UNKNOWN))


def keepers(units: Mapping[str, Unit]) -> tuple[str, ...]:
    """Return the running time daemons; if there are none, the enabled ones; if there are none, the installed ones.

    A masked daemon doesn't count, because an operator has turned it off.
    """
    present = [unit for unit in KEEPERS if units.get(unit, Unit()).load == "loaded"]
    running = tuple(unit for unit in present if units[unit].runs)
    enabled = tuple(unit for unit in present if units[unit].file == "enabled")
    return running or enabled or tuple(present)
