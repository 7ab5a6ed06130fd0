"""The script and the units of the way back, as text. No host, no pyinfra."""

from __future__ import annotations

from pathlib import Path

from rackwright.operations.haproxy.config_text import render
from rackwright.operations.haproxy.paths import Paths
from rackwright.operations.watch_units import NO_NETWORK, SANDBOX
from rackwright.roles.cutover.settings import PANIC, RECORDS, SCRIPT
from rackwright.roles.gateway.configuration import CUTOVERS, PATHS
from rackwright.roles.gateway.settings import FOLDER

TEMPLATES = Path(__file__).parent / "templates"
FUNCTIONS = TEMPLATES / "cutovers.sh"
"""Shell functions that change shares, also for rackwright.gateway."""
# socat becomes HAProxy's user.
_ALSO_SETUID = """\
SystemCallFilter=@setuid
SystemCallFilter=~io_uring_setup io_uring_enter io_uring_register
"""


def rollback_script(paths: Paths = PATHS, *, records: str = RECORDS, panic: str = PANIC) -> str:
    return render(TEMPLATES, "rollback.sh.j2", paths=paths, cutovers=CUTOVERS, records=records, panic=panic)


def path_unit() -> str:
    return (TEMPLATES / "rackwright-panic.path").read_text(encoding="utf-8")


def service() -> str:
    """Return the service that the panic file starts. It stays active, or the file would start it again and again; the
    next change of a share stops it."""
    return f"""\
# Made by rackwright: sends all requests of models under cutover to their cloud.
[Unit]
Description=rackwright way back to the cloud
After=rackwright-gateway.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={SCRIPT}
TimeoutStartSec=120
ReadWritePaths={FOLDER} /var/lib/rackwright
CapabilityBoundingSet=CAP_SETUID CAP_SETGID
ProtectProc=default
PrivateIPC=yes
PrivateTmp=yes
UMask=0077
{NO_NETWORK}{SANDBOX}{_ALSO_SETUID}"""
