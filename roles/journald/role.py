"""Keep the journal across reboots, within limits."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.absent import absent
from rackwright.operations.filesystem.configuration import unopposed
from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.packages import installed
from rackwright.operations.unit import adopted
from rackwright.roles.journald.settings import DROP_IN, RSYSLOG, Settings

_FORWARDER = "rsyslog.service"


@deploy("journald")
def journald(*, settings: Settings) -> None:
    """Ensure that the journal is on disk, within its limits, and forwarded to the syslog server, if one is set."""
    if settings.manage == "no":
        return
    wanted = limits(settings)
    checked_file(name="Write the journal's limits", path=DROP_IN, content=configuration(wanted), folder=True)
    # During the restart, lines from services wait in their sockets, which systemd keeps open.
    adopted(name="Apply the journal's limits", unit="systemd-journald.service", restart_files=(DROP_IN,))
    unopposed(name="Check for other limits of the journal", path=DROP_IN, wanted=wanted)
    if settings.server is None:
        absent(name="Stop forwarding lines", paths=(RSYSLOG,), restart=_FORWARDER)
        return
    # rsyslog's default rules also write files, which logrotate must rotate.
    installed(name="Install rsyslog", packages=("rsyslog", "logrotate"))
    text = forwarding(*settings.server)
    checked_file(
        name="Write where to forward lines",
        path=RSYSLOG,
        content=text,
        check="rsyslogd -N1 -f {path} 2>/dev/null",
    )
    adopted(name="Forward lines", unit=_FORWARDER, restart_files=(RSYSLOG,))


def limits(settings: Settings) -> Mapping[str, str]:
    """Return the wanted settings of journald.conf(5)."""
    return {
        "Storage": "persistent",
        "SystemMaxUse": str(settings.system_max_use),
        "MaxRetentionSec": f"{settings.max_retention}s",
        **({"ForwardToSyslog": "yes"} if settings.server else {}),
    }


def configuration(wanted: Mapping[str, str]) -> str:
    """Return the drop-in as journald.conf(5) reads it."""
    lines = "".join(f"{key}={value}\n" for key, value in wanted.items())
    return f"# Written by rackwright: baseline.journald of the fleet file.\n[Journal]\n{lines}"


def forwarding(host: str, port: int) -> str:
    """Return rsyslog's action: RFC 5424 over TCP, with a queue on disk for when the server is down."""
    return (
        "# Written by rackwright: baseline.journald of the fleet file.\n"
        f'action(type="omfwd" name="rackwright" target="{host}" port="{port}" protocol="tcp"\n'
        '  template="RSYSLOG_SyslogProtocol23Format" TCP_Framing="octet-counted" keepAlive="on"\n'
        '  queue.type="LinkedList" queue.filename="rackwright" queue.maxDiskSpace="1g" queue.saveOnShutdown="on"\n'
        '  action.resumeRetryCount="-1" action.resumeInterval="10")\n'
    )
