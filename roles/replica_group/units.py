"""The replica group's units: a timer and its service, a socket and the template that it starts."""

from __future__ import annotations

from rackwright.operations import watch_units as look
from rackwright.operations.watch_units import SANDBOX
from rackwright.roles.replica_group.settings import Settings


def service(settings: Settings) -> str:
    """Return the service that looks once. It runs as root, because it may restart the engine, and reaches only the
    other members."""
    peers = " ".join(str(peer.address) for peer in settings.peers)
    return f"""\
# Made by rackwright: one look at the other members of replica {settings.replica}.
[Unit]
Description=rackwright replica group {settings.replica}
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/bin/sh {settings.scripts["watch"]}
RuntimeDirectory=rackwright-replica-group
RuntimeDirectoryPreserve=yes
TimeoutStartSec={10 + 5 * len(settings.peers)}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
IPAddressDeny=any
IPAddressAllow={peers}
ProtectProc=invisible
ProcSubset=pid
PrivateTmp=yes
CapabilityBoundingSet=
{SANDBOX}"""


def timer(settings: Settings) -> str:
    why = f"how often a member of replica {settings.replica} looks at the others"
    return look.timer(why, f"rackwright replica group {settings.replica}", settings.every_seconds)


def member_socket(settings: Settings) -> str:
    why = f"where the other members of replica {settings.replica} ask for the state of this engine"
    # At boot, the address may appear after the socket.
    return look.asked_socket(why, f"rackwright member {settings.replica}", settings.own.url, "FreeBind=yes\n")


def member(settings: Settings) -> str:
    what = f"one answer to another member of replica {settings.replica}"
    return look.answer(what, f"rackwright member {settings.replica}", f"/bin/sh {settings.scripts['member']}")
