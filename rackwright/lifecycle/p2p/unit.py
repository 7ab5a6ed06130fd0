"""The transient unit of a peer-to-peer transfer on one host: start it, watch it, change its peers, end it."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from rackwright.errors import HostError
from rackwright.lifecycle.p2p import scripts
from rackwright.lifecycle.p2p.transfer import Transfer
from rackwright.operations.filesystem.stored_folder import MARGIN, PLACE
from rackwright.remote import Connection
from rackwright.roles.p2p.settings import PROGRAM, UNIT, USER, Settings
from rackwright.state.shell import command
from rackwright.values.certificate import Issued

IDLE_SECONDS = 120
"""A unit ends on its own after this time without traffic, because the run that started it may be gone."""
PROPERTIES = (
    f"User={USER}",
    "RuntimeDirectory=rackwright-p2p",
    "RuntimeDirectoryMode=0700",
    # After a kill, it continues with the files in this folder. After any other end, the folder is removed.
    "RuntimeDirectoryPreserve=restart",
    "Restart=on-abnormal",
    "RestartSec=100ms",
    "StartLimitIntervalSec=600",
    "StartLimitBurst=20",
    "TimeoutStopSec=10",
    # Engines have priority.
    "Nice=10",
    "CPUWeight=20",
    "IOWeight=20",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "RemoveIPC=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    # systemd keeps `yes` for a transient unit only until the next daemon-reload. A namespace of control groups alone
    # is of no use, and its maker needs a capability.
    "RestrictNamespaces=cgroup",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
    "UMask=0077",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged",
    "SystemCallFilter=~io_uring_setup io_uring_enter io_uring_register",
    "SystemCallErrorNumber=EPERM",
    "IPAddressDeny=any",
)


@dataclass(frozen=True)
class Status:
    """What a host reports about its part."""

    state: str = "starting"
    """making, waiting, receiving, hashing, done, failed, or ended: its unit is gone."""
    bytes: int = 0
    rate: int = 0
    """Bytes per second that arrive."""
    why: str = ""


@dataclass(frozen=True)
class Part:
    """One host's part in a peer-to-peer transfer."""

    host: str
    settings: Settings
    transfer: Transfer
    first: bool
    torrent_name: str
    issued: Issued
    ca_pem: str
    peers: tuple[Settings, ...]
    """The hosts that it asks, in this order."""
    torrent: bytes = field(default=b"", repr=False)
    """Empty for the first host, which creates it."""


def start(shell: Connection, part: Part) -> None:
    """Start the unit. Raise HostError if it can't be started."""
    transfer, host = part.transfer, part.host
    words = [word for file in _contents(transfer) for word in file]
    folder = transfer.folder(host) if part.first else ""
    where = (transfer.roots[host], transfer.arriving(host), folder, f"{transfer.folder(host)}.partial")
    arguments = (*where, *words, "--", *_systemd_run(part))
    done = shell.run(command(scripts.START, *arguments), stdin=_packed(part), timeout=120)
    done.check(f"starting the peer-to-peer transfer of {transfer.what}")


def look(shell: Connection) -> Status:
    """Return the host's progress. Raise HostError if it can't be asked."""
    reply = shell.run(scripts.LOOK, timeout=10).check("asking for the progress of the peer-to-peer transfer").stdout
    if reply.startswith("ended"):
        why = " ".join(reply.splitlines()[1:]) or "its unit has ended"
        return Status("ended", why=why)
    return _parsed(reply)


def _parsed(reply: str) -> Status:
    """Parse a unit's status. Its text is untrusted: one that can't be parsed counts as `starting`."""
    try:
        said = json.loads(reply or "{}")
        return Status(
            str(said.get("state", "starting")),
            int(said.get("bytes", 0)),
            int(said.get("rate", 0)),
            str(said.get("why", "")),
        )
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return Status()


def ask_others(shell: Connection, peers: tuple[Settings, ...]) -> None:
    """Make the host ask these peers from now on."""
    shell.run(scripts.PEERS, stdin=_peers(peers), timeout=10).check("changing the peers")


def stop(shell: Connection) -> None:
    """Remove the unit, with its key and certificate; files that have arrived stay."""
    shell.run(scripts.STOP, timeout=60).check("ending the peer-to-peer transfer")


def clean(shell: Connection, transfer: Transfer) -> None:
    """Remove the unit, and the files that had arrived or were linked to be passed on."""
    shell.run(command(scripts.CLEAN, transfer.arriving(shell.name)), timeout=60).check(
        "ending the peer-to-peer transfer"
    )


def give_up(shell: Connection, transfer: Transfer) -> None:
    """Remove the unit as `stop` does; also remove arrived files if there is no space to fetch all files."""
    needed = str(transfer.bytes + MARGIN)
    shell.run(command(scripts.GIVE_UP, transfer.arriving(shell.name), needed), timeout=60).check(
        "ending the peer-to-peer transfer"
    )


def place(shell: Connection, transfer: Transfer) -> None:
    """Remove the unit, and put the files that arrived, which it has hashed, into the model's folder, read-only."""
    words = [word for file in transfer.model.files for word in (file.sha256, file.path)]
    folder = transfer.folder(shell.name)
    arguments = (transfer.arriving(shell.name), PLACE, folder, transfer.model.digest, *words)
    shell.run(command(scripts.FINISH, *arguments), timeout=600).check(f"putting {transfer.what} in place")


def _contents(transfer: Transfer) -> list[tuple[str, str]]:
    """Return sha256 and one path of each content."""
    return list({file.sha256: (file.sha256, file.path) for file in transfer.model.files if file.size}.values())


def _systemd_run(part: Part) -> list[str]:
    allowed = [f"IPAddressAllow={peer}" for peer in part.settings.peers]
    writable = f"ReadWritePaths={part.transfer.arriving(part.host)}"
    properties = [f"--property={one}" for one in (*PROPERTIES, *allowed, writable)]
    unit = [f"--unit={UNIT}", "--collect", "--quiet", "--service-type=exec", "--expand-environment=no"]
    return [*unit, "--description=rackwright: weights from host to host", *properties, "/usr/bin/python3", PROGRAM]


def _packed(part: Part) -> bytes:
    plan = {
        "what": part.transfer.what,
        "torrent": part.torrent_name,
        "folder": part.transfer.arriving(part.host),
        "address": str(part.settings.address),
        "port": part.settings.port,
        "rate": part.settings.rate or 0,
        "files": part.transfer.files,
        "first": part.first,
        "idle": IDLE_SECONDS,
    }
    files = {
        "plan.json": json.dumps(plan),
        "peers.json": _peers(part.peers),
        "ca.pem": part.ca_pem,
        "certificate.pem": part.issued.certificate_pem,
        "key.pem": part.issued.key.reveal(),
    }
    return _tar({name: text.encode() for name, text in files.items()} | {"torrent": part.torrent})


def _peers(peers: tuple[Settings, ...]) -> str:
    return json.dumps([[str(peer.address), peer.port] for peer in peers])


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            if content:
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o600
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def torrent_of(shell: Connection) -> bytes | None:
    """Return the torrent that the first host has made, None if not yet. Raise HostError if its unit has ended."""
    done = shell.run(scripts.TORRENT, timeout=60)
    if not done.ok:
        raise HostError(f"the peer-to-peer transfer has ended: {look(shell).why}", where=shell.name)
    return done.stdout_bytes or None
