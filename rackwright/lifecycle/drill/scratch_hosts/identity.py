"""What identifies a machine, and what rackwright has left on it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rackwright.lifecycle.drill.scratch_hosts.marker import NONE, Marker
from rackwright.lifecycle.drill.scratch_hosts.scratch import FOLDER
from rackwright.remote.answers import read_answer
from rackwright.remote.connection import Connection
from rackwright.state.formats import parse as parse_stored
from rackwright.state.shell import command
from rackwright.values.network import Address, parse_address

IDENTITY = Path(__file__).with_name("identity.sh").read_text()
_LIMIT = 2**20
_WORDS = {
    "machine-id": r"[0-9a-f]{32}|",
    "key": r"[a-z0-9@.-]{1,64} [A-Za-z0-9+/]{16,4000}={0,3}",
    "address": r"[0-9A-Fa-f:.]{2,45}",
    "unit": r"[A-Za-z0-9:_.@\\-]{1,255}",
    "running": r"[A-Za-z0-9:_.@\\-]{1,255}",
    "user": r"[A-Za-z0-9_.-]{1,64}",
    "trace": r"/[A-Za-z0-9_./@+-]{1,500}",
    "filesystem": r"[a-z0-9._-]{1,40} /[A-Za-z0-9_./@+-]{1,500}",
    "listens": r"[0-9]{1,5}",
    "marker": r"[0-9a-f]{64} [A-Za-z0-9+/]{0,6000}={0,2}",
    "seen": r"-?[0-9]{1,19}",
}


@dataclass(frozen=True)
class Identity:
    """One machine, as it describes itself."""

    machine_id: str
    """Empty if the machine has none."""
    keys: frozenset[str]
    """SSH host keys, as TYPE BASE64."""
    addresses: frozenset[Address]
    """Of all interfaces, without loopback and link-local ones."""
    units: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    filesystems: Mapping[str, str] | None = None
    """Folder → type of its filesystem."""
    ports: frozenset[int] = frozenset()
    """TCP ports on which something listens."""
    marker: Marker | None = None
    marker_sha256: str = NONE
    seen: int = 0
    """Seconds since the marker's drill last gave a sign, by the machine's own clock."""

    @property
    def left(self) -> tuple[str, ...]:
        """Everything of rackwright that is on the machine."""
        return (*self.traces, *(f"unit {unit}" for unit in self.units), *(f"user {user}" for user in self.users))


def ask(connection: Connection, *folders: str) -> Identity:
    """Return the machine's identity, with one read-only command. Raise HostError if it can't be asked."""
    question = command(IDENTITY, FOLDER, *folders)
    said = connection.run(question, limit=_LIMIT).check("asking for the machine's identity").stdout
    return read_answer(connection.name, "its identity", parse_identity, said)


def parse_identity(text: str) -> Identity:
    """Given the output of `identity.sh`, return the identity. Raise an error if it is damaged."""
    found: dict[str, list[str]] = {word: [] for word in _WORDS}
    *lines, last = text.splitlines() or [""]
    if last != "end":
        raise ValueError("the answer is cut off")
    for line in lines:
        word, _, rest = line.partition(" ")
        if not re.fullmatch(_WORDS[word], rest):
            raise ValueError(f"not a {word}")
        found[word].append(rest)
    digest, _, packed = found["marker"][0].partition(" ") if found["marker"] else (NONE, "", "")
    return Identity(
        machine_id=found["machine-id"][0],
        keys=frozenset(found["key"]),
        addresses=frozenset(_own(found["address"])),
        units=tuple(found["unit"]),
        running=tuple(found["running"]),
        users=tuple(found["user"]),
        traces=tuple(found["trace"]),
        filesystems={path: kind for kind, _, path in (line.partition(" ") for line in found["filesystem"])},
        ports=frozenset(map(int, found["listens"])),
        marker=_marker(packed) if found["marker"] else None,
        marker_sha256=digest,
        seen=int(found["seen"][0]) if found["seen"] else 0,
    )


def _own(texts: list[str]) -> list[Address]:
    addresses = map(parse_address, texts)
    return [address for address in addresses if not address.is_loopback and not address.is_link_local]


def _marker(packed: str) -> Marker:
    return parse_stored(Marker, "drill-host", base64.b64decode(packed).decode(errors="replace"), FOLDER)
