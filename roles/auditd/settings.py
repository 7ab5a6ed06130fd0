"""The kernel's audit log of changes to security-relevant files."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.paths import HostPath
from rackwright.values.text import Manage

RULES = "/etc/audit/rules.d/60-rackwright.rules"


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves the kernel's audit rules as they are."""
    watch: tuple[HostPath, ...] = ()
    """Additional files and folders whose changes are logged."""
