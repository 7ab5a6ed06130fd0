"""The files that define a fleet, in addition to the fleet file itself. None of them contains a secret."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.fleet.fleet import Fleet

WRITTEN = ("lock", "keys.yml")
"""Suffixes of files that operators commit with the fleet file; they define what hosts run."""
TRUSTED = ("known_hosts", "ca.crt")
"""Suffixes of files that rackwright itself creates: pinned host keys, the CA's certificate. Operators commit them."""


def named_files(fleet: Fleet) -> tuple[str, ...]:
    """Return the paths of the CA bundle, keyrings and certificates, as written in the fleet file."""
    return tuple(dict.fromkeys(_named(fleet)))


def _named(fleet: Fleet) -> Iterator[str]:
    file = fleet.file
    if file.downloads.ca_bundle:
        yield file.downloads.ca_bundle
    yield from (mirror.key for mirror in file.downloads.apt_mirrors if mirror.key)
    yield from (driver.key for driver in file.drivers if driver.key)
    if file.gateway.certificate:
        yield file.gateway.certificate.certificate
    if file.backup:
        yield from (repository.ca for repository in file.backup.to if repository.ca)
