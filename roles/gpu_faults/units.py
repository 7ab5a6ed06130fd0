"""The timer and the service it starts."""

from __future__ import annotations

from rackwright.operations import watch_units as look
from rackwright.operations.watch_units import SANDBOX
from rackwright.roles.gpu_faults.settings import SCRIPT, STEM, Settings


def service() -> str:
    """Return the service that looks once. It runs as root to read the journal, without any of root's capabilities."""
    return f"""\
# Made by rackwright: one look at the driver's messages about this host's GPUs.
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
    why = "how often the kernel's log is searched for GPU faults"
    return look.timer(why, "rackwright GPU faults", settings.every_seconds)
