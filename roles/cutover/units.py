"""The panic file's units."""

from __future__ import annotations

from rackwright.operations.watch_units import ALSO_SETUID, NO_NETWORK, SANDBOX
from rackwright.roles.cutover.settings import PANIC, SCRIPT
from rackwright.roles.gateway.settings import FOLDER


def path() -> str:
    """Return the unit that waits for the panic file."""
    return f"""\
# Made by rackwright: the panic file sends all requests of models under cutover to their cloud.
[Unit]
Description=rackwright panic file

[Path]
PathExists={PANIC}

[Install]
WantedBy=multi-user.target
"""


def service() -> str:
    """Return the service that the panic file starts.

    It stays active, or the file would start it again and again; the next change of a share stops it. To ask HAProxy's
    workers, it becomes HAProxy's user, looks into that user's folder, and sees which processes run.
    """
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
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_SYS_PTRACE CAP_DAC_READ_SEARCH
PrivateIPC=yes
PrivateTmp=yes
UMask=0077
{NO_NETWORK}{SANDBOX}{ALSO_SETUID}"""
