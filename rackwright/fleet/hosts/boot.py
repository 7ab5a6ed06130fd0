"""Whether a host can boot a kernel once."""

from __future__ import annotations

from rackwright.roles.boot.settings import Settings
from rackwright.roles.nvidia_driver.settings import Settings as Driver


def boot_of(driver: Driver | None) -> Settings | None:
    """Return the settings of a host on which rackwright installs or keeps a kernel; None for another host."""
    return Settings() if driver else None
