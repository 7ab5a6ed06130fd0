"""No core dumps: they would contain prompts, answers and keys."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.text import Manage

LIMITS = "/etc/security/limits.d/60-rackwright.conf"
COREDUMP = "/etc/systemd/coredump.conf.d/60-rackwright.conf"


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves core dumps as they are."""
