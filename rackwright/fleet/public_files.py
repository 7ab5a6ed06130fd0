"""The files that define a fleet, in addition to the fleet file itself. None of them contains a secret."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.source import FileSource, parse_source
from rackwright.roles.vllm.settings import Settings as Vllm

KEYS = "keys.yml"
WRITTEN = ("lock", KEYS)
"""Suffixes of files that operators commit with the fleet file; they define what hosts run."""
TRUSTED = ("known_hosts", "ca.crt")
"""Suffixes of files that rackwright itself creates: pinned host keys, the CA's certificate. Operators commit them."""

TEXT_LIMIT, TEXTS_LIMIT = 2 * 10**6, 10**7
"""The most bytes of one golden set or requirements file, and of all. Each apply reads what the control hosts keep."""


@dataclass(frozen=True)
class Text:
    """A golden set or a requirements file."""

    place: str
    """Its key in the fleet file."""
    written: str
    """Its path as written there."""
    unfit: str | None = None
    """Why the control hosts can't keep it; None: they do."""


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
    if file.patch and file.patch.prometheus and file.patch.prometheus.ca:
        yield file.patch.prometheus.ca
    yield from (receiver.ca for receiver in file.receivers if receiver.ca)
    yield from (cloud.ca for cloud in file.clouds.values() if cloud.ca)


def named_texts(fleet: Fleet) -> tuple[Text, ...]:
    """Return each golden set and each requirements file once, and whether the control hosts keep it."""
    found: dict[str, Text] = {}
    left = TEXTS_LIMIT
    for place, written in _texts(fleet):
        if written not in found:
            size, unfit = _fit(fleet, written, left)
            found[written] = Text(place, written, unfit)
            left -= 0 if unfit else size
    return tuple(found.values())


def _texts(fleet: Fleet) -> Iterator[tuple[str, str]]:
    for name, model in fleet.file.models.items():
        if model.canary and model.canary.golden:
            yield f"models.{name}.canary.golden", model.canary.golden
        build = model.runtime.build if isinstance(model.runtime, Vllm) else None
        source = parse_source(build) if build else None
        # A folder of wheels is no text: the hosts keep its wheels.
        if isinstance(source, FileSource) and not os.path.isdir(fleet.at(source.path)):  # noqa: PTH112 — False without permission
            yield f"models.{name}.runtime.build", source.path


def _fit(fleet: Fleet, written: str, left: int) -> tuple[int, str | None]:
    """Return a file's size, and why it can't be kept if `left` bytes are left for all files."""
    try:
        found = fleet.at(written).stat()
    except OSError as error:
        return 0, f"can't be read: {error.strerror}"
    if not stat.S_ISREG(found.st_mode):
        return 0, "is not a file"
    limit = min(TEXT_LIMIT, left)
    if found.st_size > limit:
        return 0, f"has {found.st_size / 1e6:.1f} MB, and there is room for {limit / 1e6:.1f} MB"
    return found.st_size, None
