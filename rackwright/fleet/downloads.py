"""The section `downloads:` as the controller and the hosts use it: the route, and the files that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.downloads import AptMirror
from rackwright.roles.downloads.settings import CA_BUNDLE, Keyring
from rackwright.route import Route

_LOCAL = ("localhost", "127.0.0.0/8", "::1")


@dataclass(frozen=True)
class DownloadFiles:
    """The content of the files that `downloads:` and `driver:` name."""

    ca_bundle: str | None = None
    """PEM."""
    keyrings: Mapping[str, Keyring] = field(default_factory=dict)
    """Path as written in the fleet file → keyring."""

    def keyring(self, mirror: AptMirror) -> Keyring | None:
        return self.keyrings[mirror.key] if mirror.key else None


def download_files(fleet: Fleet) -> DownloadFiles:
    """Return the files that these sections name. Raise FleetError if one can't be read or has the wrong content."""
    downloads, problems = fleet.file.downloads, list[Problem]()
    bundle, keyrings = None, dict[str, Keyring]()
    if downloads.ca_bundle:
        content = _read(fleet, downloads.ca_bundle, "downloads.ca_bundle", is_no_bundle, problems)
        bundle = content.decode(errors="replace")
    places = {mirror.key: "downloads.apt_mirror.key" for mirror in downloads.apt_mirrors if mirror.key}
    places |= {driver.key: "driver.key" for driver in fleet.file.drivers if driver.key}
    for key, place in places.items():
        keyrings[key] = Keyring(content=_read(fleet, key, place, _is_no_keyring, problems))
    if problems:
        raise FleetError(problems)
    return DownloadFiles(bundle, keyrings)


def route_from_here(fleet: Fleet) -> Route:
    """Return the route for the controller's downloads."""
    downloads = fleet.file.downloads
    bundle = str(fleet.at(downloads.ca_bundle)) if downloads.ca_bundle else None
    return Route(proxy=downloads.proxy, no_proxy=_no_proxy(fleet), ca_bundle=bundle)


def route_from_hosts(fleet: Fleet) -> Route:
    """Return the route for the hosts' downloads."""
    downloads = fleet.file.downloads
    bundle = CA_BUNDLE if downloads.ca_bundle else None
    return Route(proxy=downloads.proxy, no_proxy=_no_proxy(fleet), ca_bundle=bundle)


def _no_proxy(fleet: Fleet) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*_LOCAL, *_own_addresses(fleet), *fleet.file.downloads.no_proxy)))


def _own_addresses(fleet: Fleet) -> Iterator[str]:
    for host in fleet.file.hosts.values():
        written = (host.address, host.service, host.fabric)
        yield from (str(address) for address in written if address and address != "@local")
    yield fleet.file.gateway.domain


def _read(
    fleet: Fleet, written: str, key: str, unfit: Callable[[bytes], str | None], problems: list[Problem]
) -> bytes:
    path, where = fleet.at(written), f"{fleet.path} {key}"
    try:
        content = path.read_bytes()
    except OSError as error:
        problems.append(Problem(where, f"{path} can't be read: {error.strerror}"))
        return b""
    if should := unfit(content):
        problems.append(Problem(where, f"{path} can't be used", should))
    return content


def is_no_bundle(content: bytes) -> str | None:
    """Return what the file should be, or None if it is correct."""
    import ssl

    if b"PRIVATE KEY-----" in content:
        return "should have certificates only, but it contains a private key"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode())
    except (ssl.SSLError, ValueError):
        return "should be PEM with one or more certificates"
    return None


def _is_no_keyring(content: bytes) -> str | None:
    """Return what the file should be, or None if it is correct."""
    if b"-----BEGIN PGP PRIVATE KEY BLOCK-----" in content:
        return "should have public keys only, but it contains a private key"
    # The first octet of an OpenPGP packet has its highest bit set; 6 is the tag of a public key.
    binary = content[:1] in (b"\x98", b"\x99", b"\x9a", b"\xc6")
    if not binary and not content.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----"):
        return "should be an OpenPGP keyring from `gpg --export`, with or without --armor"
    return None
