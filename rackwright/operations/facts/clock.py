"""The daemon that synchronizes a host's clock."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.operations.facts.unit import Unit

CHRONY = "chrony.service"
TIMESYNCD = "systemd-timesyncd.service"
KEEPERS = (CHRONY, "ntpsec.service", "openntpd.service", TIMESYNCD)
"""Known daemons, in order of preference."""


def keepers(units: Mapping[str, Unit]) -> tuple[str, ...]:
    """Return the running time daemons; if there are none, the enabled ones; if there are none, the installed ones.

    A masked daemon doesn't count, because an operator has turned it off.
    """
    present = [unit for unit in KEEPERS if units.get(unit, Unit()).load == "loaded"]
    running = tuple(unit for unit in present if units[unit].runs)
    enabled = tuple(unit for unit in present if units[unit].file == "enabled")
    return running or enabled or tuple(present)
