"""Find open TCP ports with curl, from the controller or from a host of the fleet."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from rackwright.errors import RackwrightError
from rackwright.lifecycle.client.request import Asker, bracketed
from rackwright.remote.answers import read_answer

SECONDS = 2
"""Time that a port has to answer. A port that drops packets never does."""
_AT_ONCE = 250
"""Connections that one curl opens in parallel; its own limit is 300."""


@dataclass(frozen=True)
class OpenPort:
    address: str
    port: int
    source: str
    """The address that the connection came from."""


def open_ports(asker: Asker, addresses: tuple[str, ...], ports: tuple[int, ...]) -> tuple[OpenPort, ...]:
    """Return which of these ports accept a connection at these addresses. Tries all at the same time.

    Raise RackwrightError if not every port was tried, or the answer can't be read.
    """
    output = asker.shell(_script(addresses, ports), 60)
    tried = [line.split("|") for line in output.splitlines() if line.count("|") == 2]
    if len(tried) != len(addresses) * len(ports):
        raise RackwrightError(
            f"{len(tried)} of {len(addresses) * len(ports)} ports were tried",
            where=asker.where,
            should="curl should be installed there",
        )
    return read_answer(asker.where, "the ports that it tried", _open, tried, addresses)


def _open(tried: list[list[str]], addresses: tuple[str, ...]) -> tuple[OpenPort, ...]:
    found = [
        OpenPort(addresses[int(number)], _port(url), str(ip_address(source)))
        for number, url, source in tried
        if source
    ]
    return tuple(sorted(found, key=lambda one: (addresses.index(one.address), one.port)))


def _script(addresses: tuple[str, ...], ports: tuple[int, ...]) -> str:
    # One file per curl, because output of several in one pipe would be mixed.
    lines = ["command -v curl >/dev/null || exit 1", "d=$(mktemp -d) || exit 1", "trap 'rm -r \"$d\"' EXIT"]
    for number, address in enumerate(addresses):
        for start in range(0, len(ports), _AT_ONCE):
            listed = ",".join(map(str, ports[start : start + _AT_ONCE]))
            lines.append(
                f"curl -q -s -Z --parallel-immediate --parallel-max {_AT_ONCE} --noproxy '*' "
                f"--connect-timeout {SECONDS} -m {SECONDS + 1} -o /dev/null "
                f"-w '{number}|%{{url_effective}}|%{{local_ip}}\\n' "
                f"'http://{bracketed(address)}:{{{listed}}}/' </dev/null >\"$d/{number}.{start}\" 2>/dev/null &"
            )
    return "\n".join([*lines, "wait", 'cat "$d"/*', ""])


def _port(url: str) -> int:
    return int(url.rstrip("/").rpartition(":")[2])
