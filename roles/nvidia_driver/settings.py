"""Driver and kernel as one set: which packages, for which machine, and the files that guard them."""

from __future__ import annotations

from typing import Literal

from rackwright.package_set import PackageSet
from rackwright.values.base import Frozen

GUARD = "/etc/rackwright/boot-guard"
KERNEL = "/etc/rackwright/boot-kernel"
"""Names the kernel of the set; empty: the newest."""
HOOKS = {
    "/etc/kernel/postinst.d/aa-rackwright": "hold hook",
    "/etc/kernel/postinst.d/zz-rackwright": "look hook",
    "/etc/kernel/header_postinst.d/zz-rackwright": "look",
    "/etc/kernel/postrm.d/zz-rackwright": "look hook",
}
"""What the guard is told whenever a kernel or its headers come or go, by whomever. The first runs before DKMS, which
may fail and end it there; the others after DKMS and before GRUB."""
PIN = "/etc/default/grub.d/zz-rackwright.cfg"
"""Written by the guard: there while the newest kernel has no driver."""
READY = "/etc/rackwright/gpus-ready"
UNIT = "rackwright-gpus.service"
"""Engines with GPUs start after it."""
MODPROBE = "/etc/modprobe.d/rackwright-gpus.conf"
MODULES = "/etc/modules-load.d/rackwright-gpus.conf"
INSTALL = "Install driver"
"""How the operation's name begins that changes the driver."""
FILES = (GUARD, KERNEL, *HOOKS, PIN, READY, MODPROBE, MODULES)


class Settings(Frozen):
    manage: Literal["yes", "adopt", "replace"]
    set: PackageSet | None = None
    """None: the driver that is there is adopted."""
    version: str | None = None
    """Of the driver that the set brings."""
    kernel: str | None = None
    """Release of the kernel that the set brings."""
    modules: Literal["open", "proprietary"] | None = None
    system: str | None = None
    """What the set is for: ID and VERSION_ID of os-release, like `debian 13`."""
    architecture: str | None = None
    fabric: bool = False
    """Whether the set has the Fabric Manager."""
    gpus: int = 0
    """How many GPUs the host's replicas need."""
