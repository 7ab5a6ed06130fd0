"""Who changed what decides over the host, written down by the kernel."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.paths import HostPath
from rackwright.values.text import Manage

RULES = "/etc/audit/rules.d/60-rackwright.rules"


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves the kernel's audit as it is."""
    watch: tuple[HostPath, ...] = ()
    """Further files and folders whose changes are written down."""
