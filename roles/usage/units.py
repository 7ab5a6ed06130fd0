"""The unit that brings a gateway's usage up to date, its timer, and the files that it reads, as text. No pyinfra."""

from __future__ import annotations

import json
from pathlib import Path

from rackwright.operations import watch_units as look
from rackwright.operations.filesystem.shipped import SUMS
from rackwright.operations.haproxy.config_text import render
from rackwright.operations.haproxy.paths import Paths
from rackwright.operations.watch_units import ALSO_SETUID, NO_NETWORK, SANDBOX
from rackwright.roles.gateway.access_log import TAG
from rackwright.roles.gateway.configuration import PATHS
from rackwright.roles.usage.program.main import QUOTAS_MAP
from rackwright.roles.usage.settings import FOLDER, STATE, STATE_NAME, Settings

_TEMPLATES = Path(__file__).parent / "templates"


def ask_script(settings: Settings, paths: Paths = PATHS) -> str:
    """Return the script that asks HAProxy's workers."""
    gateways = (settings.gateway, *settings.others)
    return render(_TEMPLATES, "ask.sh.j2", gateways=gateways, paths=paths, quotas_map=QUOTAS_MAP)


def tell_script(paths: Paths = PATHS) -> str:
    """Return the script that tells HAProxy how much is used."""
    return render(_TEMPLATES, "tell.sh.j2", paths=paths, quotas_map=QUOTAS_MAP)


def quotas_text(settings: Settings) -> str:
    """Return the teams' quotas for the program: name, tokens per day and per month (0: any number)."""
    rows = [[quota.team, quota.tokens_per_day, quota.tokens_per_month] for quota in settings.teams]
    return json.dumps(rows) + "\n"


def service(settings: Settings) -> str:
    """Return the service that looks once.

    It runs as root, with the capabilities to see whether a worker runs and to ask it as HAProxy's user. Without a
    running gateway it does nothing.
    """
    return f"""\
# Made by rackwright: adds up what this gateway's clients have used.
[Unit]
Description=rackwright usage
After=rackwright-gateway.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecCondition=/usr/bin/systemctl --quiet is-active rackwright-gateway.service
# An interrupted apply may leave modules of two versions.
ExecStartPre=/usr/bin/sha256sum --check --strict --quiet {FOLDER}/{SUMS}
ExecStart=/usr/bin/python3 -I -S -B {FOLDER} {settings.gateway} {FOLDER} {PATHS.configuration} {TAG} {STATE}
StateDirectory={STATE_NAME}
StateDirectoryMode=0700
# For {QUOTAS_MAP}, which HAProxy reads when it starts.
ReadWritePaths={PATHS.configuration}
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
    """Return the timer of the service."""
    return look.timer("how often usage is brought up to date", "rackwright usage", settings.every_seconds)
