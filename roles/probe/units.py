"""The probe's units: a timer and its service, a socket and the template that it starts."""

from __future__ import annotations

from rackwright.operations import watch_units as look
from rackwright.operations.watch_units import NO_NETWORK, SANDBOX
from rackwright.roles.layout.settings import SOCKETS
from rackwright.roles.probe.scripts import LONGEST
from rackwright.roles.probe.settings import Settings


def service(settings: Settings) -> str:
    """Return the service that looks once. It runs as root, because it may kill the engine, with only the capability
    that it needs to see the engine's threads and socket."""
    return f"""\
# Made by rackwright: one look of the probe at replica {settings.replica}.
[Unit]
Description=rackwright probe {settings.replica}
RequiresMountsFor={SOCKETS}
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
{NO_NETWORK}{SANDBOX}"""


def timer(settings: Settings) -> str:
    why = f"how often the probe looks at replica {settings.replica}"
    return look.timer(why, f"rackwright probe {settings.replica}", settings.every_seconds)


def agent_socket(settings: Settings) -> str:
    why = f"where the host proxy asks for the state of replica {settings.replica}"
    return look.asked_socket(why, f"rackwright agent {settings.replica}", f"127.0.0.1:{settings.agent_port}")


def agent(settings: Settings) -> str:
    what = f"one answer with the state of replica {settings.replica}"
    return look.answer(what, f"rackwright agent {settings.replica}", f"/bin/sh {settings.script}.agent")
