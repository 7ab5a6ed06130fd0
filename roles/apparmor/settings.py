"""AppArmor at work, with the profiles that packages bring."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.text import Manage


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` doesn't look whether AppArmor is at work. It is never turned off either way."""
