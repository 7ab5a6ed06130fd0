"""Every secret reference of a fleet file. The secrets themselves are elsewhere; nothing here resolves one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from rackwright.fleet.backup_access import references_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.backup import HOST
from rackwright.fleet.sections.notify import Receiver, Webhook

_FILE = "file:"
_ANY_NAME = "[a-z][a-z0-9-]{0,23}"


def secret_references(fleet: Fleet) -> Mapping[str, str]:
    """Return place in the fleet file → reference, of the hosts in service."""
    return {place: text for place, text in _all(fleet) if text is not None}


def _all(fleet: Fleet) -> Iterator[tuple[str, str | None]]:
    file = fleet.file
    yield from ((f"hosts.{name}.sudo.password", host.sudo.password) for name, host in file.hosts.items())
    yield "downloads.hub_token", file.downloads.hub_token
    yield "ca.key", file.ca.key
    if file.gateway.certificate:
        yield "gateway.certificate.key", file.gateway.certificate.key
    yield from references_of(fleet)
    if file.patch and file.patch.prometheus:
        yield "patch.prometheus.token", file.patch.prometheus.token
    yield from _of_receivers(fleet)
    yield from ((f"clouds.{name}.key", cloud.key) for name, cloud in file.clouds.items())
    yield "unattended.key", file.unattended.key
    if file.unattended.repository:
        yield "unattended.repository.key", file.unattended.repository.key
    if file.drill:
        yield "drill.key", file.drill.key
        yield "drill.revoked_key", file.drill.revoked_key
        yield from (
            (f"drill.hosts.{name}.sudo.password", host.sudo.password) for name, host in file.drill.hosts.items()
        )


def _of_receivers(fleet: Fleet) -> Iterator[tuple[str, str | None]]:
    for place, one in places_of_receivers(fleet):
        if isinstance(one, Webhook):
            yield f"{place}.url", one.secret_url
            yield f"{place}.token", one.token
        else:
            yield f"{place}.password", one.password


def places_of_receivers(fleet: Fleet) -> Iterator[tuple[str, Receiver]]:
    """Yield each receiver of `notify` with its place in the fleet file."""
    several = isinstance(fleet.file.notify, tuple)
    for number, one in enumerate(fleet.file.receivers):
        yield f"notify[{number}]" if several else "notify", one


def secret_files(fleet: Fleet) -> re.Pattern[str]:
    """Return a pattern for the paths of files with secrets; with {host}, those of any host, even a former one."""
    references = {*secret_references(fleet).values(), *_with_host(fleet)}
    return re.compile(
        "|".join(_pattern(fleet, text) for text in sorted(references) if text.startswith(_FILE)) or "(?!)"
    )


def secret_inodes(fleet: Fleet) -> frozenset[tuple[int, int]]:
    """Return device and inode of each file with a secret, for files that are another name of one."""
    paths = (_path(fleet, text) for text in secret_references(fleet).values() if text.startswith(_FILE))
    found = (path.stat() for path in paths if path.is_file())
    return frozenset((one.st_dev, one.st_ino) for one in found)


def _with_host(fleet: Fleet) -> Iterator[str]:
    for asked in fleet.file.backup.to if fleet.file.backup else ():
        yield from (text for text in asked.references.values() if text)


def _pattern(fleet: Fleet, reference: str) -> str:
    return re.escape(str(_path(fleet, reference))).replace(re.escape(HOST), _ANY_NAME)


def _path(fleet: Fleet, reference: str) -> Path:
    return (fleet.path.parent / Path(reference.removeprefix(_FILE)).expanduser()).resolve()
