"""What follows from the fleet file's backup: what one host saves and where to, and what opens it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.sections.backup import Repository
from rackwright.fleet.source import FileSource, parse_source
from rackwright.roles.backup.settings import Access, Settings
from rackwright.roles.backup.settings import Repository as RepositorySettings
from rackwright.route import DIRECT, Route

_EXCLUDED = (
    # Secrets are not in backups: restore delivers them again.
    "*.cred",
    # Half written, and gone in a moment.
    "*.new",
    "/var/lib/rackwright/backup",
    # Can be had again.
    "/var/lib/rackwright/packages",
)
_SAVED = ("/etc/rackwright", "/var/lib/rackwright")
_MUST = ("/etc/rackwright/backup/run.sh", "/var/lib/rackwright/audit.log")


def backup_of(fleet: Fleet, lock: Lock, host: str, route: Route = DIRECT) -> Settings | None:
    """Return what this host saves, and where to, rest servers by `route`; None: the fleet file has no backup."""
    asked = fleet.file.backup
    if asked is None:
        return None
    weights = tuple(_weights(fleet, lock, host)) if asked.models == "yes" else ()
    return Settings(
        host=host,
        repositories=tuple(_repository(repository, host, route) for repository in asked.to),
        sources=(*_SAVED, *weights),
        must=(*_MUST, *(f"{folder}/.verified" for folder in weights)),
        exclude=_EXCLUDED,
        timezone=fleet.file.timezone,
        at=asked.at,
        check=asked.check.capitalize(),
        keep_hours=asked.keep_within // 3600,
    )


def _weights(fleet: Fleet, lock: Lock, host: str) -> list[str]:
    """Return the folders of this host's models that no source can give back."""
    return [
        f"{fleet.file.hosts[host].models_at}/{model}/{lock.models[model].digest[:16]}"
        for model in dict.fromkeys(replica.model for replica in fleet.replicas_on(host))
        if isinstance(parse_source(fleet.file.models[model].source), FileSource)
    ]


def _repository(asked: Repository, host: str, route: Route) -> RepositorySettings:
    return RepositorySettings(
        name=asked.name,
        url=f"{asked.url}/{host}",
        append_only=asked.append_only == "yes",
        mount=asked.mount,
        known_hosts=_known_hosts(asked),
        user=asked.user,
        own_authority=asked.ca is not None,
        route=route if asked.kind == "rest" else DIRECT,
    )


def _known_hosts(asked: Repository) -> str | None:
    if asked.host_key is None:
        return None
    match = re.match(r"sftp:(?://)?[^@]+@\[?([^\]/]+?)\]?(?::([0-9]+))?(?:/|:/)", asked.url)
    host, port = (match[1], match[2]) if match else ("", None)
    return f"{f'[{host}]:{port}' if port and port != '22' else host} {asked.host_key}"


def access_of(fleet: Fleet) -> Mapping[str, Access]:
    """Return what opens each repository, by name. Raise SecretError or FleetError if a secret or file isn't good."""
    from rackwright.fleet.secrets import resolve

    opened: dict[str, Access] = {}
    for number, asked in enumerate(fleet.file.backup.to if fleet.file.backup else ()):
        place = f"{fleet.path} backup.to[{number}]"
        found = {
            key: resolve(reference, where=f"{place}.{key}", folder=fleet.path.parent) if reference else None
            for key, reference in asked.references.items()
        }
        password = found["password"]
        assert password is not None  # noqa: S101 — its reference is never absent
        opened[asked.name] = Access(password, found["key"], found["login"], _authority(fleet, asked, place))
    return opened


def _authority(fleet: Fleet, asked: Repository, place: str) -> str | None:
    if asked.ca is None:
        return None
    path = fleet.path.parent / Path(asked.ca).expanduser()
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "is not PEM"
        raise FleetError([Problem(f"{place}.ca", f"{path} can't be read: {what}")]) from None
    if "-BEGIN CERTIFICATE-" not in text or "PRIVATE KEY" in text:
        raise FleetError([Problem(f"{place}.ca", f"{path} is no PEM file of certificates alone")])
    return text
