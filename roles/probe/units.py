"""The probe's units: a timer and its service, a socket and the template it starts."""

from __future__ import annotations

from rackwright.roles.probe.scripts import LONGEST
from rackwright.roles.probe.settings import Settings

_COMMON = """\
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateDevices=yes
DevicePolicy=closed
KeyringMode=private
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
LogLevelMax=notice
"""


def service(settings: Settings) -> str:
    """One look. Root, for it may kill the engine; of root's powers only those to see its threads and its socket."""
    return f"""\
# Made by rackwright: one look of the probe at replica {settings.replica}.
[Unit]
Description=rackwright probe {settings.replica}
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/bin/sh {settings.script}.probe
SupplementaryGroups=rackwright
RuntimeDirectory=rackwright-state
RuntimeDirectoryPreserve=yes
TimeoutStartSec={settings.deadline_seconds * LONGEST}
CapabilityBoundingSet=CAP_SYS_PTRACE
ReadWritePaths=/var/lib/rackwright
PrivateTmp=yes
{_COMMON}"""


def timer(settings: Settings) -> str:
    return f"""\
# Made by rackwright: when the probe looks at replica {settings.replica}.
[Unit]
Description=rackwright probe {settings.replica}

[Timer]
OnActiveSec=0
OnUnitInactiveSec={settings.every_seconds}s
AccuracySec=100ms

[Install]
WantedBy=timers.target
"""


def agent_socket(settings: Settings) -> str:
    return f"""\
# Made by rackwright: where the host proxy asks for the state of replica {settings.replica}.
[Unit]
Description=rackwright agent {settings.replica}

[Socket]
ListenStream=127.0.0.1:{settings.agent_port}
Accept=yes
MaxConnections=16
TriggerLimitIntervalSec=0
PollLimitIntervalSec=0

[Install]
WantedBy=sockets.target
"""


def agent(settings: Settings) -> str:
    """One answer. Its connection is handed to it, and it can open none."""
    return f"""\
# Made by rackwright: one answer on the state of replica {settings.replica}.
[Unit]
Description=rackwright agent {settings.replica}
CollectMode=inactive-or-failed

[Service]
ExecStart=/bin/sh {settings.script}.agent
StandardInput=socket
StandardOutput=socket
StandardError=journal
TimeoutStartSec=5
RuntimeMaxSec=5
CapabilityBoundingSet=
ProtectProc=invisible
ProcSubset=pid
PrivateIPC=yes
UMask=0077
{_COMMON}"""
