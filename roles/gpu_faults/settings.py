"""Which GPUs of a host don't hold: read for all its replicas from what the driver writes to the kernel's log."""

from __future__ import annotations

from rackwright.values.base import Frozen

STEM = "rackwright-gpu-faults"
SERVICE = f"{STEM}.service"
TIMER = f"{STEM}.timer"
UNITS = (SERVICE, TIMER)
SCRIPT = "/etc/rackwright/gpu-faults"
XIDS = "/etc/rackwright/gpu-faults.xids"
"""Those that count, one a line: number, kind of fault, meaning."""
FILES = (SCRIPT, XIDS)
FOLDER = f"/run/{STEM}"
"""Made at boot, so that nothing outlives one. `faults` has a line for each Xid that counts: seconds since boot, PCI
address, kind of fault, process or 0, number, meaning. `gpus` has a line for each GPU: PCI address, UUID."""


class Settings(Frozen):
    every_seconds: int = 5
