"""The repositories in which old snapshots are to be forgotten, and how this machine reaches them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.errors import SecretError, UsageError
from rackwright.fleet.backup_access import OtherWay, reached_by, reached_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.naming import unknown
from rackwright.fleet.sections.backup import HOST, KIT
from rackwright.lifecycle.backup.repository_url import is_repository_url
from rackwright.lifecycle.session.console import Console
from rackwright.roles.backup.settings import Access, Repository


@dataclass(frozen=True)
class Asked:
    """What the operator asked for."""

    names: tuple[str, ...] = ()
    """Hosts, groups and `kit`; empty: all of them."""
    to: str | None = None
    """Name of a repository of the fleet file; None: the only one."""
    at: str | None = None
    """Where deletions are allowed, with {host}; None: as the fleet file says."""
    user: str | None = None
    login: str | None = None
    keep_seconds: int | None = None
    """None: as the fleet file says."""

    @property
    def kit_may_miss(self) -> bool:
        return not self.names


@dataclass(frozen=True)
class ForgetPlace:
    host: str
    """A host of the fleet file, or `kit`."""
    repository: Repository
    access: Access


def forget_places(fleet: Fleet, asked: Asked, console: Console) -> tuple[ForgetPlace, ...]:
    """Return where to forget. Hosts out of service count too: their snapshots don't get younger.

    Raise UsageError if something can't be meant, SecretError if a secret doesn't resolve.
    """
    hosts = _hosts(fleet, asked)
    way = _way(asked, hosts)
    return tuple(_reached(fleet, asked, hosts, way, console))


def _hosts(fleet: Fleet, asked: Asked) -> tuple[str, ...]:
    if not asked.names:
        return (*fleet.file.hosts, KIT)
    known = (*fleet.file.hosts, *fleet.file.groups, KIT)
    for name in asked.names:
        if name not in known:
            raise unknown(name, known, "host or group")
    named = tuple(name for name in asked.names if name != KIT)
    return (*(fleet.named(named) if named else ()), *([KIT] if KIT in asked.names else ()))


def _way(asked: Asked, hosts: tuple[str, ...]) -> OtherWay | None:
    if asked.at is None:
        if asked.user or asked.login:
            raise UsageError("is only for --at rest:…", where="--user, --login", should="leave them out")
        return None
    if not is_repository_url(asked.at.replace(HOST, "host")):
        should = "should be /srv/restic/{host}, sftp:admin@server:/srv/restic/{host} or rest:https://server/{host}"
        raise UsageError("is no place of repositories", where="--at", should=should)
    if HOST not in asked.at and len(hosts) > 1:
        raise UsageError(f"doesn't contain {HOST}", where="--at", should="each host has a repository of its own")
    if asked.at.startswith("rest:"):
        if bool(asked.user) != bool(asked.login):
            raise UsageError("belong together", where="--user, --login", should="pass both, or neither")
    elif asked.user or asked.login:
        raise UsageError("is only for --at rest:…", where="--user, --login", should="leave them out")
    return OtherWay(asked.at, asked.user, asked.login)


def _reached(
    fleet: Fleet, asked: Asked, hosts: tuple[str, ...], way: OtherWay | None, console: Console
) -> Iterator[ForgetPlace]:
    for host in hosts:
        try:
            found = reached_by(fleet, host, asked.to, way) if way else reached_from_here(fleet, host, asked.to)
        except SecretError as error:
            if host != KIT or not asked.kit_may_miss:
                raise
            console.say(f"{KIT}: left out: {error.problems[0].line()}")
        else:
            yield ForgetPlace(host, *found)
