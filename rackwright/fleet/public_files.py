"""The files that make a fleet what it is, beside the fleet file itself. None of them holds a secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rackwright.fleet.fleet import Fleet

DECIDING = ("lock", "keys.yml")
"""Suffixes of what says, with the fleet file, what hosts run."""
_TRUSTED = ("known_hosts", "ca.crt")


def trusted_files(fleet: Fleet) -> tuple[Path, ...]:
    """Return the files that are there of pins, authorities, keyrings and certificates."""
    beside = [fleet.beside(suffix) for suffix in _TRUSTED]
    named = [fleet.at(written) for written in _named(fleet)]
    return tuple(path for path in dict.fromkeys((*beside, *named)) if path.is_file())


def _named(fleet: Fleet) -> Iterator[str]:
    """Yield each as the fleet file writes it."""
    file = fleet.file
    if file.site.ca_bundle:
        yield file.site.ca_bundle
    yield from (mirror.key for mirror in file.site.apt_mirrors if mirror.key)
    if file.gateway.certificate:
        yield file.gateway.certificate.certificate
    if file.backup:
        yield from (repository.ca for repository in file.backup.to if repository.ca)
