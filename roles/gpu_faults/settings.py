"""Which of a host's GPUs have failed, read for all its replicas from the driver's messages in the kernel's log."""

from __future__ import annotations

from rackwright.values.base import Frozen

STEM = "rackwright-gpu-faults"
SERVICE = f"{STEM}.service"
TIMER = f"{STEM}.timer"
UNITS = (SERVICE, TIMER)
SCRIPT = "/etc/rackwright/gpu-faults"
XIDS = "/etc/rackwright/gpu-faults.xids"
"""The Xids that count, one per line: number, kind of fault, meaning."""
FILES = (SCRIPT, XIDS)
FOLDER = f"/run/{STEM}"
"""In /run, so that nothing survives a reboot. `faults` has a line for each Xid that counts: seconds since boot, PCI
address, kind of fault, process or 0, number, meaning. `gpus` has a line for each GPU: PCI address, UUID."""


class Settings(Frozen):
    every_seconds: int = 5
