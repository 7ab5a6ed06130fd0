"""The servers that a scratch host must reach: backup repositories and download sources. Nothing else is opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from rackwright.fleet.downloads import route_from_hosts
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.needs import Need, needs_of
from rackwright.lifecycle.drill.scratch_hosts.surroundings import Surroundings
from rackwright.route import Route
from rackwright.values.network import Address

_PORTS = {"http": 80, "https": 443, "sftp": 22}


@dataclass(frozen=True)
class Destination:
    """A server that scratch hosts may reach at one TCP port."""

    name: str
    """A DNS name or an address."""
    port: int
    why: str
    """What it is, like `the repository vault`."""
    repository: bool = False

    def __str__(self) -> str:
        return f"{self.name} port {self.port} ({self.why})"


def destinations(fleet: Fleet, lock: Lock, hosts: tuple[str, ...]) -> tuple[Destination, ...]:
    """Return the servers that these hosts of the fleet need in order to be restored, without duplicates."""
    return _distinct((*repository_servers(fleet), *_downloads(fleet, needs_of(fleet, lock, hosts))))


def archives(fleet: Fleet, around: Surroundings) -> tuple[Destination, ...]:
    """Return the package archives that a scratch host already uses."""
    route = route_from_hosts(fleet)
    return _distinct(one for url in around.apt if (one := _server(url, "a package archive of this host", route)))


@dataclass(frozen=True)
class Opened:
    """Destinations as one scratch host resolves them."""

    servers: tuple[tuple[Address, int], ...]
    by_destination: tuple[tuple[Destination, tuple[Address, ...]], ...]

    @property
    def unresolved(self) -> tuple[Destination, ...]:
        return tuple(one for one, addresses in self.by_destination if not addresses)


def opened(wanted: Iterable[Destination], around: Surroundings) -> Opened:
    """Return the addresses of these destinations, as the host resolved them."""
    pairs = tuple((one, _addresses(one.name, around)) for one in _distinct(wanted))
    servers = dict.fromkeys((address, one.port) for one, addresses in pairs for address in addresses)
    return Opened(tuple(servers), pairs)


def _addresses(name: str, around: Surroundings) -> tuple[Address, ...]:
    try:
        return (ip_address(name),)
    except ValueError:
        return around.names.get(name, ())


def repository_servers(fleet: Fleet) -> Iterator[Destination]:
    """Yield the servers of the fleet's repositories."""
    route = route_from_hosts(fleet)
    for asked in fleet.file.backup.to if fleet.file.backup else ():
        why = f"the repository {asked.name}"
        if asked.kind == "rest":
            server = _server(asked.url.removeprefix("rest:"), why, route, repository=True)
        elif asked.kind == "sftp":
            server = _sftp(asked.url, why)
        else:
            server = None
        if server:
            yield server


def _sftp(url: str, why: str) -> Destination | None:
    """Both forms of restic: sftp:user@host:/path and sftp://user@host:port//path."""
    if url.startswith("sftp://"):
        return _server(url, why, Route(), repository=True)
    machine = url.removeprefix("sftp:").partition("@")[2].rpartition(":/")[0]
    return Destination(machine.strip("[]").lower(), 22, why, repository=True) if machine else None


def _downloads(fleet: Fleet, needs: Iterable[Need]) -> Iterator[Destination]:
    route, downloads = route_from_hosts(fleet), fleet.file.downloads
    texts = {mirror.url: "downloads.apt_mirror" for mirror in downloads.apt_mirrors}
    if downloads.package_index:
        texts[downloads.package_index] = "downloads.package_index"
    for need in needs:
        texts |= {file.url: need.place for file in need.files if file.local is None}
    for url, why in texts.items():
        if server := _server(url, why, route):
            yield server


def _server(url: str, why: str, route: Route, *, repository: bool = False) -> Destination | None:
    """Return the server that is asked for this URL: the proxy, if there is one. None: it is on no network."""
    parts = urlsplit(url)
    proxy = route.proxy_for(url) if parts.scheme in ("http", "https") else None
    if proxy:
        parts, why = urlsplit(proxy), f"{why}, through downloads.proxy"
    port = parts.port or _PORTS.get(parts.scheme)
    return Destination(parts.hostname, port, why, repository) if parts.hostname and port else None


def _distinct(found: Iterable[Destination]) -> tuple[Destination, ...]:
    """Keep the first of those with the same server and port; a repository takes precedence."""
    known: dict[tuple[str, int], Destination] = {}
    for one in found:
        before = known.get((one.name, one.port))
        if before is None or (one.repository and not before.repository):
            known[one.name, one.port] = one
    return tuple(known.values())
