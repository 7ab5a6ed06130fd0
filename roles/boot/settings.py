"""The files with which a host boots a kernel once."""

from __future__ import annotations

from rackwright.values.base import Frozen

SCRIPT = "/etc/rackwright/one-boot"
PARTS = (f"{SCRIPT}.menu", f"{SCRIPT}.arm")
"""Read by the script."""
KEPT = "/etc/default/grub.d/zzz-rackwright.cfg"
"""Written by the script; exists while GRUB doesn't choose the default itself. Its name comes after the NVIDIA guard's
file, whose choice it overrides."""
ONCE = "/etc/grub.d/01_rackwright"
"""Written by the script; exists while a kernel is armed or being tried."""
WATCHDOG = "/etc/systemd/system.conf.d/zz-rackwright.conf"
"""Written by the script; exists while a kernel is armed or being tried, on a host with a hardware watchdog."""
FILES = (SCRIPT, *PARTS, KEPT, ONCE, WATCHDOG)


class Settings(Frozen):
    pass
