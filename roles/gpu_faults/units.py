"""The timer and the service it starts."""

from __future__ import annotations

from rackwright.operations import watch_units as look
from rackwright.operations.watch_units import SANDBOX
from rackwright.roles.gpu_faults.settings import SCRIPT, STEM, Settings


def service() -> str:
    """One look. Root, whose journal it reads, with none of root's powers."""
    return f"""\
# Made by rackwright: one look at what the driver wrote about this host's GPUs.
[Unit]
Description=rackwright GPU faults
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/bin/sh {SCRIPT}
RuntimeDirectory={STEM}
RuntimeDirectoryPreserve=yes
TimeoutStartSec=60
CapabilityBoundingSet=
ProtectProc=invisible
PrivateIPC=yes
PrivateNetwork=yes
PrivateTmp=yes
IPAddressDeny=any
RestrictAddressFamilies=none
{SANDBOX}"""


def timer(settings: Settings) -> str:
    why = "when the kernel's log is looked at for faults of GPUs"
    return look.timer(why, "rackwright GPU faults", settings.every_seconds)
