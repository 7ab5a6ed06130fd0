"""Driver and kernel as one set: the packages, the machine that they are for, and the files that guard the boot."""

from __future__ import annotations

from typing import Literal

from rackwright.package_set import PackageSet
from rackwright.values.base import Frozen

GUARD = "/etc/rackwright/boot-guard"
KERNEL = "/etc/rackwright/boot-kernel"
"""File with the release of the set's kernel; empty: the newest kernel boots."""
HOOKS = {
    "/etc/kernel/postinst.d/aa-rackwright": "hold hook",
    "/etc/kernel/postinst.d/zz-rackwright": "look hook",
    "/etc/kernel/header_postinst.d/zz-rackwright": "look",
    "/etc/kernel/postrm.d/zz-rackwright": "look hook",
}
"""Kernel hook → arguments of the guard, whenever a kernel or its headers are installed or removed. The first one runs
before DKMS, which may fail and end the run of hooks; the others run after DKMS and before GRUB."""
PIN = "/etc/default/grub.d/zz-rackwright.cfg"
"""Written by the guard; exists while the newest kernel has no driver."""
READY = "/etc/rackwright/gpus-ready"
UNIT = "rackwright-gpus.service"
"""Engines with GPUs start after it."""
MODPROBE = "/etc/modprobe.d/rackwright-gpus.conf"
MODULES = "/etc/modules-load.d/rackwright-gpus.conf"
INSTALL = "Install driver"
"""Beginning of the name of the operation that changes the driver."""
PENDING = "reboot pending"
"""Beginning of a note that says that only a reboot makes the kernel use the installed driver."""
FILES = (GUARD, KERNEL, *HOOKS, PIN, READY, MODPROBE, MODULES)


class Settings(Frozen):
    manage: Literal["yes", "adopt", "replace"]
    set: PackageSet | None = None
    """None: the installed driver is adopted."""
    version: str | None = None
    """Version of the set's driver."""
    kernel: str | None = None
    """Release of the set's kernel."""
    modules: Literal["open", "proprietary"] | None = None
    system: str | None = None
    """The system that the set is for: ID and VERSION_ID of os-release, like `debian 13`."""
    architecture: str | None = None
    fabric: bool = False
    """Whether the set includes the Fabric Manager."""
    gpus: int = 0
    """Number of GPUs that the host's replicas need."""
