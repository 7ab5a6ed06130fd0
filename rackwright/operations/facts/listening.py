"""Listening sockets on a host, and their processes. Without pyinfra: for a plain connection."""

from __future__ import annotations

import re
from dataclasses import dataclass

LISTENING_COMMAND = "ss -Hltunp"
"""Needs root to show other users' processes. Columns of ss(8): Netid State Recv-Q Send-Q Local Peer Process."""

_PROCESS = re.compile(r'\("((?:[^"\\]|\\.)*)",pid=(\d+)')


@dataclass(frozen=True)
class Socket:
    """A listening TCP socket, or an unconnected UDP socket. `address` is "*" for any."""

    protocol: str
    address: str
    port: int
    process: str = ""
    """Its program's name; empty if it belongs to the kernel (NFS, WireGuard)."""
    pid: int | None = None

    @property
    def is_loopback(self) -> bool:
        return self.address.startswith(("127.", "::ffff:127.")) or self.address == "::1"


def parse_listening(text: str) -> tuple[Socket, ...]:
    """Given the output of LISTENING_COMMAND, return its sockets. Lines in other formats are skipped."""
    return tuple(socket for line in text.splitlines() if (socket := _socket(line)))


def _socket(line: str) -> Socket | None:
    fields = line.split(maxsplit=6)
    if len(fields) < 6 or fields[0] not in ("tcp", "udp"):
        return None
    address, _, port = fields[4].rpartition(":")
    if not port.isdecimal():
        return None
    owner = _PROCESS.search(fields[6]) if len(fields) > 6 else None
    return Socket(
        protocol=fields[0],
        address=re.sub(r"%.*", "", address.replace("[", "").replace("]", "")),
        port=int(port),
        process=owner[1] if owner else "",
        pid=int(owner[2]) if owner else None,
    )
