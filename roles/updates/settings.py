"""Automatic security updates for all packages except those that engines and GPUs run on."""

from __future__ import annotations

from typing import Annotated

from rackwright.values.base import Frozen
from rackwright.values.text import Manage, Shape

APT = "/etc/apt/apt.conf.d/60-rackwright.conf"
NEEDRESTART = "/etc/needrestart/conf.d/60-rackwright.conf"

Package = Annotated[
    str, Shape(r"[a-z0-9][a-z0-9+.-]{0,98}\*?", "should be the name of a package, or its beginning and a *")
]


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves updates as they are."""
    exclude: tuple[Package, ...] = ()
    """Additional packages that are never updated automatically: names, or beginnings of names with `*`."""
