"""Driver and kernel as one set: which packages, for which machine, and the files that guard them."""

from __future__ import annotations

from typing import Literal

from rackwright.package_set import PackageSet
from rackwright.values import Frozen

GUARD = "/etc/rackwright/boot-guard"
HOOKS = {"/etc/kernel/postinst.d/zz-rackwright": "installed", "/etc/kernel/postrm.d/zz-rackwright": "removed"}
"""Run after DKMS and before GRUB whenever that happens to a kernel, by whomever."""
PIN = "/etc/default/grub.d/zz-rackwright.cfg"
"""Written by the guard: there while the newest kernel has no driver."""
READY = "/etc/rackwright/gpus-ready"
UNIT = "rackwright-gpus.service"
"""Engines with GPUs start after it."""
MODPROBE = "/etc/modprobe.d/rackwright-gpus.conf"
MODULES = "/etc/modules-load.d/rackwright-gpus.conf"
FILES = (GUARD, *HOOKS, PIN, READY, MODPROBE, MODULES)


class Settings(Frozen):
    manage: Literal["yes", "adopt", "replace"]
    set: PackageSet | None = None
    """None: the driver that is there is adopted."""
    version: str | None = None
    """Of the driver that the set brings."""
    kernel: str | None = None
    """Release of the kernel that the set brings."""
    modules: Literal["open", "proprietary"] | None = None
    fabric: bool = False
    """Whether the set has the Fabric Manager."""
    gpus: int = 0
    """How many GPUs the host's replicas need."""
