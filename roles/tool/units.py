"""The tool's units and scripts as text. No host, no pyinfra."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rackwright.operations.haproxy.config_text import render
from rackwright.roles.tool import settings as names
from rackwright.roles.tool.settings import Settings, credential_file
from rackwright.values.tool_mode import VARIABLE

_TEMPLATES = Path(__file__).parent / "templates"
_APPLIED = "/var/lib/rackwright"
"""Where an apply keeps the applied fleet on control hosts (rackwright.state)."""
_SANDBOX = """\
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateIPC=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
LimitCORE=0
UMask=0077
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=~io_uring_setup io_uring_enter io_uring_register
SystemCallErrorNumber=EPERM"""


def properties(settings: Settings) -> Iterator[str]:
    """Yield what the unit and a run by hand have in common: user, secrets, environment and sandbox."""
    yield f"User={names.USER}"
    yield f"Group={names.USER}"
    yield f"StateDirectory={names.STATE_DIRECTORY}"
    yield "StateDirectoryMode=0700"
    yield f"WorkingDirectory={names.STATE}"
    yield f"Environment=HOME={names.STATE} LANG=C.UTF-8 {VARIABLE}=1"
    yield from (f"LoadCredentialEncrypted={name}:{credential_file(name)}" for name in settings.secrets)
    yield from _SANDBOX.splitlines()


def unit_text(settings: Settings) -> str:
    """Return the service that looks at what is due."""
    return render(_TEMPLATES, "unit.service.j2", settings=settings, names=names, properties=[*properties(settings)])


def timer_text(settings: Settings) -> str:
    """Return the timer for the times at which something is due."""
    return render(_TEMPLATES, "schedule.timer.j2", settings=settings, names=names)


def check_timer_text() -> str:
    """Return the timer that has the tool look every few minutes."""
    return render(_TEMPLATES, "check.timer.j2", names=names)


def command_text(settings: Settings) -> str:
    """Return the script with which root runs the tool by hand."""
    # Of a transient unit, systemd writes `yes` as an empty list when units are reloaded: no restriction.
    lines = [line.replace("RestrictNamespaces=yes", "RestrictNamespaces=cgroup") for line in properties(settings)]
    return render(_TEMPLATES, "rackwright.sh.j2", settings=settings, names=names, properties=lines)


def hand_over_text() -> str:
    """Return root's script that hands the applied fleet to the tool."""
    return render(_TEMPLATES, "hand-over.sh.j2", names=names, state=_APPLIED)
