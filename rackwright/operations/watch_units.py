"""Common parts of our units that check something every few seconds: sandbox, timer, socket and answers."""

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
SystemCallFilter=~@privileged @resources
SystemCallFilter=~io_uring_setup io_uring_enter io_uring_register
SystemCallErrorNumber=EPERM
LogLevelMax=notice
"""
"""For every such unit. Each unit sets its own access to processes and the network."""

ALSO_SETUID = """\
SystemCallFilter=@setuid
SystemCallFilter=~io_uring_setup io_uring_enter io_uring_register
"""
"""For a unit that asks HAProxy as HAProxy's user. It follows SANDBOX, whose last filter stays the last."""

NO_NETWORK = """\
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any
"""


def timer(why: str, description: str, every_seconds: int) -> str:
    """Return the timer of a unit of the same name: it runs at once, then `every_seconds` after each run's end."""
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
    """Return the socket that starts, for each question, one instance of the template with its name."""
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
    """Return the template unit of one answer, which runs as root. It gets its connection and can't open others."""
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
