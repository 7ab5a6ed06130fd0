"""Which TCP ports of each host are open to another host, compared with what the fleet file opens to that one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.client.request import Asker, FromController, FromHost
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.verify.ports import OpenPort, open_ports
from rackwright.operations.facts.listening import LISTENING_COMMAND, Socket, parse_listening
from rackwright.remote.answers import read_each
from rackwright.roles.firewall.settings import At, Settings

FORWARDED_COMMAND = "{ nft list ruleset; iptables-legacy -t nat -S; } 2>/dev/null | grep -iE 'dnat|redirect' || true"
"""Rules that forward a port, for example to a container: no socket of the host listens there."""
NOTABLE = frozenset(
    map(
        int,
        """
1433 1521 2049 2375 2376 2379 2380 3000 3128 3306 3389 4222 4317 5000 5001 5201 5432 5555 5601 5672 5900 5985
6000 6379 6443 7000 7860 8000 8001 8002 8008 8080 8081 8086 8088 8090 8123 8265 8443 8500 8501 8786 8787 8888
8889 9000 9001 9042 9090 9091 9092 9093 9100 9200 9300 9400 9418 9443 10001 10250 10255 11211 11434 15672 19530
27017 29500 50000 50051
""".split(),
    )
)
"""Ports above 1024 that are common on such hosts: databases, consoles, engines, cluster managers."""


@dataclass(frozen=True)
class Scan:
    """The open ports at one address of a host, scanned from one place."""

    host: str
    address: str
    by: str
    """Where the scan came from."""
    tried: int
    """Number of ports."""
    open: tuple[int, ...]
    surplus: tuple[str, ...]
    """Open ports that the fleet file doesn't open to that place, with the process that listens there."""
    problem: str | None = None
    """Why the host couldn't be asked, or not be scanned from there; then nothing was tried."""


@dataclass(frozen=True)
class _Reported:
    """What a host itself reports."""

    listening: tuple[Socket, ...]
    forwarded: frozenset[int]
    """Ports in rules that forward."""


@dataclass(frozen=True)
class _Look:
    """One host to scan from one place."""

    host: str
    asker: Asker
    doors: Mapping[str, At]
    """Address → the network that it belongs to."""
    ports: tuple[int, ...]
    settings: Settings
    listening: tuple[Socket, ...]


def scan(session: Session) -> tuple[Scan, ...]:
    """Scan every host from another host, all at the same time; return what is open.

    Scans the ports up to 1024, the replicas' ports, the NOTABLE ones, all that the fleet file opens anywhere, and
    those on which the host itself reports a listener or a forwarding rule. UDP is not scanned, because no answer
    proves nothing there. If only gateways are left to scan from, the controller scans too. A host that doesn't answer
    is neither scanned nor scanned from.
    """
    from rackwright.remote import Background

    asked = session.remote.run_on(tuple(session.hosts), f"{LISTENING_COMMAND} && {{ {FORWARDED_COMMAND}; }}")
    answers = read_each(asked, "listing the listening ports", _reported)
    reported = {name: answer for name, answer in answers.items() if not isinstance(answer, HostError)}
    looks = tuple(look for host in reported for look in _looks(session, host, reported))
    scans = [Background(partial(_tried, look)) for look in looks]
    failed = (_failed(session, host, answer) for host, answer in answers.items() if isinstance(answer, HostError))
    done = (found for look, running in zip(looks, scans, strict=True) for found in _scans(look, running.result()))
    return (*failed, *done)


def _reported(output: str) -> _Reported:
    return _Reported(parse_listening(output), frozenset(forwarded(output)))


def _tried(look: _Look) -> tuple[OpenPort, ...] | RackwrightError:
    try:
        return open_ports(look.asker, tuple(look.doors), look.ports)
    except RackwrightError as error:
        return error


def _failed(session: Session, host: str, error: HostError) -> Scan:
    address = session.fleet.file.hosts[host].address
    return Scan(host, address, by="the others", tried=0, open=(), surplus=(), problem=error.problems[0].what)


def _looks(session: Session, host: str, reported: Mapping[str, _Reported]) -> Iterator[_Look]:
    doors, own = _doors(session, host), reported[host]
    for asker in _askers(session, host, reported) if doors else ():
        yield _Look(host, asker, doors, _ports(session, own), session.hosts[host].firewall, own.listening)


def _doors(session: Session, host: str) -> dict[str, At]:
    own = session.fleet.file.hosts[host]
    if session.fleet.is_local(host):
        return {str(own.service): "address"} if own.service else {}
    apart = session.fleet.apart(host)
    doors: dict[str, At] = {own.address: "address"}
    doors |= {str(apart.service): "service"} if apart.service else {}
    return doors | ({str(apart.fabric): "fabric"} if apart.fabric else {})


def _askers(session: Session, host: str, answered: Iterable[str]) -> Iterator[Asker]:
    others = [name for name in answered if name != host]
    strangers = [name for name in others if name not in session.fleet.gateways]
    for name in (strangers or others)[:1]:
        yield FromHost(session, name)
    if not strangers and not session.fleet.is_local(host):
        yield FromController()


def _ports(session: Session, reported: _Reported) -> tuple[int, ...]:
    ports = {*range(1, 1025), *NOTABLE}
    ports |= {port for host in session.lock.ports.values() for port in host.values()}
    openings = [opening for spec in session.hosts.values() for opening in spec.firewall.openings]
    ports |= {port for opening in openings for port in (opening.port, opening.last) if port}
    ports |= {found.port for found in reported.listening if found.protocol == "tcp" and not found.is_loopback}
    ports |= reported.forwarded
    return tuple(sorted(ports))


def forwarded(text: str) -> Iterator[int]:
    """Given rules of nft or iptables, yield the ports that they forward; of a range, both ends."""
    for line in text.splitlines():
        if re.search(r"dnat|redirect", line, re.IGNORECASE):
            for found in re.findall(r"dports? (\{[^}]*\}|\S+)", line):
                yield from (int(port) for port in re.findall(r"\d+", found) if 0 < int(port) < 65536)


def _scans(look: _Look, found: tuple[OpenPort, ...] | RackwrightError) -> Iterator[Scan]:
    for address, at in look.doors.items():
        if isinstance(found, RackwrightError):
            said = str(found.problems[0])
            yield Scan(look.host, address, look.asker.where, tried=0, open=(), surplus=(), problem=said)
            continue
        here = [port for port in found if port.address == address]
        surplus = [port.port for port in here if not admits(look.settings, at, port)]
        yield Scan(
            host=look.host,
            address=address,
            by=look.asker.where,
            tried=len(look.ports),
            open=tuple(port.port for port in here),
            surplus=tuple(_named(port, look.listening) for port in surplus),
        )


def admits(settings: Settings, at: At, found: OpenPort) -> bool:
    """Return whether the fleet file opens the port, on that network of the host, to the connection's source."""
    source = ip_address(found.source)
    openings = [opening for opening in settings.admitted_at(at) if opening.protocol == "tcp"]
    return any(
        found.port in opening.ports and (not opening.sources or any(source in net for net in opening.sources))
        for opening in openings
    )


def _named(port: int, listening: tuple[Socket, ...]) -> str:
    found = {
        socket.process for socket in listening if (socket.protocol, socket.port) == ("tcp", port) and socket.process
    }
    return f"{port} ({', '.join(sorted(found))})" if found else str(port)
