"""AppArmor, with the profiles that packages install."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.text import Manage


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` doesn't check whether AppArmor is active. rackwright never turns it off."""
