"""Who keeps a host's clock right."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.operations.facts.unit import Unit

CHRONY = "chrony.service"
TIMESYNCD = "systemd-timesyncd.service"
KEEPERS = (CHRONY, "ntpsec.service", "openntpd.service", TIMESYNCD)
"""Known daemons, the preferred first."""


def keepers(units: Mapping[str, Unit]) -> tuple[str, ...]:
    """Return the daemons that keep the clock: those that run, or else are enabled, or else are installed at all.

    A masked one doesn't count: somebody doesn't want it.
    """
    present = [unit for unit in KEEPERS if units.get(unit, Unit()).load == "loaded"]
    running = tuple(unit for unit in present if units[unit].runs)
    enabled = tuple(unit for unit in present if units[unit].file == "enabled")
    return running or enabled or tuple(present)
