"""rackwright's files for the driver, as text. No pyinfra."""

from __future__ import annotations

from pathlib import Path

from rackwright.roles.nvidia_driver.settings import GUARD, READY

_TEMPLATES = Path(__file__).parent / "templates"
BOOT_GUARD = (_TEMPLATES / "boot-guard.sh").read_text()
GPUS_READY = (_TEMPLATES / "gpus-ready.sh").read_text()
NO_NOUVEAU = """\
# Written by rackwright: the NVIDIA driver and nouveau can't both have the GPUs.
blacklist nouveau
options nouveau modeset=0
"""


def hook(words: str) -> str:
    """Return a kernel hook that calls the guard with these arguments and never fails."""
    return f"""\
#!/bin/sh
# Written by rackwright: a kernel that can drive the GPUs boots by default, whichever kernels are installed.
[ ! -x {GUARD} ] || {GUARD} {words} || true
"""


def modules_at_boot(*, peermem: bool) -> str:
    """Return the modules that are loaded at boot; with peermem, network cards can read GPUs' memory."""
    names = ["nvidia", "nvidia-uvm", *(["nvidia-peermem"] if peermem else [])]
    return "# Written by rackwright.\n" + "".join(f"{name}\n" for name in names)


def gpus_unit(count: int) -> str:
    """Return the unit that engines with GPUs wait for."""
    return f"""\
# Made by rackwright: the driver answers, and the fabric behind NVSwitches is complete.
[Unit]
Description=rackwright GPUs are ready
After=systemd-modules-load.service nvidia-persistenced.service nvidia-fabricmanager.service

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=15min
ExecStart={READY} {count}

[Install]
WantedBy=multi-user.target
"""
