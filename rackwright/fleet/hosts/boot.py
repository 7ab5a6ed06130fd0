"""Whether a host can boot a kernel once."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.roles.boot.settings import Settings
from rackwright.roles.nvidia_driver.settings import Settings as Driver


def boot_of(fleet: Fleet, driver: Driver | None) -> Settings | None:
    """Return the settings of a host whose kernel rackwright installs, keeps or patches; None for another host."""
    return Settings() if driver or fleet.file.patch else None
