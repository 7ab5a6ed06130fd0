"""The bond's units: a timer and its service, a socket and the template it starts."""

from __future__ import annotations

from rackwright.roles.bond.settings import Settings

_COMMON = """\
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
PrivateDevices=yes
DevicePolicy=closed
PrivateTmp=yes
KeyringMode=private
NoNewPrivileges=yes
CapabilityBoundingSet=
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
    """One look. Root, for it may start the engine anew; it reaches the other members and nobody else."""
    peers = " ".join(str(peer.address) for peer in settings.peers)
    return f"""\
# Made by rackwright: one look at the other members of replica {settings.replica}.
[Unit]
Description=rackwright bond {settings.replica}
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/bin/sh {settings.scripts["bond"]}
RuntimeDirectory=rackwright-bond
RuntimeDirectoryPreserve=yes
TimeoutStartSec={10 + 5 * len(settings.peers)}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
IPAddressDeny=any
IPAddressAllow={peers}
{_COMMON}"""


def timer(settings: Settings) -> str:
    return f"""\
# Made by rackwright: when a member of replica {settings.replica} looks at the others.
[Unit]
Description=rackwright bond {settings.replica}

[Timer]
OnActiveSec=0
OnUnitInactiveSec={settings.every_seconds}s
AccuracySec=100ms

[Install]
WantedBy=timers.target
"""


def word_socket(settings: Settings) -> str:
    return f"""\
# Made by rackwright: where the other members of replica {settings.replica} ask how the engine here is.
[Unit]
Description=rackwright word {settings.replica}

[Socket]
ListenStream={settings.own.url}
FreeBind=yes
Accept=yes
MaxConnections=16
TriggerLimitIntervalSec=0
PollLimitIntervalSec=0

[Install]
WantedBy=sockets.target
"""


def word(settings: Settings) -> str:
    """One answer. Its connection is handed to it, and it can open none."""
    return f"""\
# Made by rackwright: one answer to another member of replica {settings.replica}.
[Unit]
Description=rackwright word {settings.replica}
CollectMode=inactive-or-failed

[Service]
ExecStart=/bin/sh {settings.scripts["word"]}
StandardInput=socket
StandardOutput=socket
StandardError=journal
TimeoutStartSec=5
RuntimeMaxSec=5
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any
UMask=0077
{_COMMON}"""
