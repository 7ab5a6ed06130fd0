"""What our units have in common that look at something every few seconds: the sandbox, the timer, who is asked."""

from __future__ import annotations

SANDBOX = """\
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
"""Whatever such a unit looks at. What it may see of processes and the network, each says itself."""

NO_NETWORK = """\
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any
"""


def timer(why: str, description: str, every_seconds: int) -> str:
    """Return the timer of a unit of the same name: a look at once, and again so long after the last one ended."""
    return f"""\
# Made by rackwright: {why}.
[Unit]
Description={description}

[Timer]
OnActiveSec=0
OnUnitInactiveSec={every_seconds}s
AccuracySec=100ms

[Install]
WantedBy=timers.target
"""


def asked_socket(why: str, description: str, listen: str, more: str = "") -> str:
    """Return the socket that starts one instance of the template of its name for each question."""
    return f"""\
# Made by rackwright: {why}.
[Unit]
Description={description}

[Socket]
ListenStream={listen}
{more}Accept=yes
MaxConnections=16
TriggerLimitIntervalSec=0
PollLimitIntervalSec=0

[Install]
WantedBy=sockets.target
"""


def answer(why: str, description: str, command: str) -> str:
    """Return the template of one answer, which root gives. Its connection is handed to it, and it can open none."""
    return f"""\
# Made by rackwright: {why}.
[Unit]
Description={description}
CollectMode=inactive-or-failed

[Service]
ExecStart={command}
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
{NO_NETWORK}{SANDBOX}"""
