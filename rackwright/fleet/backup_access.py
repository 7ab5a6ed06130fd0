"""Access to the backup repositories: secrets resolved, CA files read."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.backup import Repository
from rackwright.roles.backup.settings import Access


def access_of(fleet: Fleet) -> Mapping[str, Access]:
    """Return the access to each repository, by name. Raise SecretError or FleetError if one is unusable."""
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
        opened[asked.name] = Access(password, found["key"], found["login"], _ca(fleet, asked, place))
    return opened


def _ca(fleet: Fleet, asked: Repository, place: str) -> str | None:
    if asked.ca is None:
        return None
    path = fleet.at(asked.ca)
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "is not PEM"
        raise FleetError([Problem(f"{place}.ca", f"{path} can't be read: {what}")]) from None
    if "-BEGIN CERTIFICATE-" not in text or "PRIVATE KEY" in text:
        raise FleetError([Problem(f"{place}.ca", f"{path} is not a PEM file with certificates only")])
    return text
