"""The timer and the service it starts."""

from __future__ import annotations

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
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
PrivateDevices=yes
PrivateIPC=yes
PrivateNetwork=yes
PrivateTmp=yes
DevicePolicy=closed
IPAddressDeny=any
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
RestrictAddressFamilies=none
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
LogLevelMax=notice
"""


def timer(settings: Settings) -> str:
    return f"""\
# Made by rackwright: when the kernel's log is looked at for faults of GPUs.
[Unit]
Description=rackwright GPU faults

[Timer]
OnActiveSec=0
OnUnitInactiveSec={settings.every_seconds}s
AccuracySec=100ms

[Install]
WantedBy=timers.target
"""
