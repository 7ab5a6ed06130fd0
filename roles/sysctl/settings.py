"""Kernel settings against spoofed packets and curious local users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from rackwright.values.base import Frozen
from rackwright.values.text import Line, Manage, Shape

DROP_IN = "/etc/sysctl.d/60-rackwright.conf"

Key = Annotated[
    str,
    Shape(
        r"[a-z0-9_]+([./][A-Za-z0-9_:*-]+){1,8}",
        "should be a kernel setting like net.core.somaxconn, as sysctl.d(5) writes it",
    ),
]


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves the kernel's settings as they are."""
    kernel: Manage = "yes"
    """`no` sets only network settings: a container shares the others with its host."""
    values: Mapping[Key, int | Line] = {}
    """Your own settings, which add to the built-in ones or override them."""
