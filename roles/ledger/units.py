"""The unit that brings the ledger up to date, and its timer, as text. No host, no pyinfra."""

from __future__ import annotations

from pathlib import Path

from rackwright.operations import watch_units as look
from rackwright.operations.filesystem.shipped import SUMS
from rackwright.operations.haproxy.config_text import render
from rackwright.operations.haproxy.paths import Paths
from rackwright.operations.watch_units import ALSO_SETUID, NO_NETWORK, SANDBOX
from rackwright.roles.gateway.access_log import TAG
from rackwright.roles.gateway.configuration import PATHS
from rackwright.roles.ledger.settings import DOCUMENT, FOLDER, STATE_NAME, TABLES, Settings

_TEMPLATES = Path(__file__).parent / "templates"


def tables_script(settings: Settings, paths: Paths = PATHS) -> str:
    """Return the script that asks HAProxy's workers for what they have accepted."""
    return render(_TEMPLATES, "tables.sh.j2", settings=settings, paths=paths)


def service(settings: Settings) -> str:
    """Return the service that looks once.

    It runs as root, with the capabilities to see whether a worker runs and to ask it as HAProxy's user. Without a
    running gateway it does nothing.
    """
    return f"""\
# Made by rackwright: one look at what this gateway accepted and what became of it.
[Unit]
Description=rackwright ledger
After=rackwright-gateway.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecCondition=/usr/bin/systemctl --quiet is-active rackwright-gateway.service
# An interrupted apply may leave modules of two versions.
ExecStartPre=/usr/bin/sha256sum --check --strict --quiet {FOLDER}/{SUMS}
ExecStart=/usr/bin/python3 -I -S -B {FOLDER} {settings.gateway} {FOLDER}/{TABLES} {TAG} {DOCUMENT}
StateDirectory={STATE_NAME}
StateDirectoryMode=0700
TimeoutStartSec=300
# It says nothing unless it fails.
SyslogLevel=warning
MemoryMax=512M
# Answers have priority.
Nice=10
CPUWeight=20
IOWeight=20
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_SYS_PTRACE
PrivateIPC=yes
PrivateTmp=yes
UMask=0077
{NO_NETWORK}{SANDBOX}{ALSO_SETUID}"""


def timer(settings: Settings) -> str:
    why = "how often the ledger is brought up to date"
    return look.timer(why, "rackwright ledger", settings.every_seconds)
