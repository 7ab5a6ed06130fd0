"""How a scratch host sees its network: the controller, its DNS servers, its package archives, addresses of names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from rackwright.remote.answers import read_answer
from rackwright.remote.connection import Connection
from rackwright.values.network import Address, parse_address

SURROUNDINGS = Path(__file__).with_name("surroundings.sh").read_text()
_LIMIT = 2**20
_NAME = r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?"
_ADDRESS = r"[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9_.-]{1,15})?"
_LINES = {
    "controller": rf"({_ADDRESS}) ([0-9]{{1,5}})",
    "resolver": rf"({_ADDRESS})",
    "apt": r"([a-z+]{2,20}:[!-~]{0,500})",
    "name": rf"({_NAME}) ({_ADDRESS})",
}


@dataclass(frozen=True)
class Surroundings:
    controller: Address | None
    """The address from which the SSH connection comes; None: it isn't one."""
    ssh_port: int
    """The port at which sshd accepted it."""
    resolvers: tuple[Address, ...]
    """Without those on the host itself."""
    apt: tuple[str, ...]
    """URLs of the package archives that apt uses now, and of its proxies."""
    names: Mapping[str, tuple[Address, ...]]
    """Name → its addresses; a name without any is missing."""


def look_around(connection: Connection, names: Iterable[str] = ()) -> Surroundings:
    """Return what the host answers, with one read-only command. `names` are resolved there.

    Raise HostError if it can't be asked.
    """
    asked = "".join(f"{name}\n" for name in dict.fromkeys(names) if re.fullmatch(_NAME, name))
    done = connection.run(SURROUNDINGS, stdin=asked or None, timeout=300, limit=_LIMIT)
    said = done.check("asking for its network").stdout
    return read_answer(connection.name, "its network", parse_surroundings, said)


def parse_surroundings(text: str) -> Surroundings:
    """Given the output of `surroundings.sh`, return what it says. Raise ValueError if it is damaged."""
    *lines, last = text.splitlines() or [""]
    if last != "end":
        raise ValueError("the answer is cut off")
    found: dict[str, list[tuple[str, ...]]] = {word: [] for word in _LINES}
    for line in lines:
        word, _, rest = line.partition(" ")
        if not (match := re.fullmatch(_LINES[word], rest)):
            raise ValueError(f"not a {word}")
        found[word].append(match.groups())
    controller, port = (
        (found["controller"][0][0], int(found["controller"][0][-1])) if found["controller"] else ("", 22)
    )
    names: dict[str, tuple[Address, ...]] = {}
    for name, *_, address, _ in found["name"]:
        if usable := _usable(address):
            names[name] = (*names.get(name, ()), usable)
    resolvers = (_usable(one[0]) for one in found["resolver"])
    return Surroundings(
        controller=_plain(controller) if controller else None,
        ssh_port=port,
        resolvers=tuple(one for one in resolvers if one),
        apt=tuple(one[0] for one in found["apt"]),
        names=names,
    )


def _usable(text: str) -> Address | None:
    """Return the address, None if it is of the host itself or of no single machine elsewhere."""
    address = _plain(text)
    odd = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    return None if odd else address


def _plain(text: str) -> Address:
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address if address.is_unspecified or address.is_multicast else parse_address(str(address))
