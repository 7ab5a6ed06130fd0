"""Each host's access to its backup repositories: secrets resolved, passwords derived, CA files read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from rackwright.errors import FleetError, Problem, SecretError, UsageError
from rackwright.fleet.downloads import route_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.backup import settings_of
from rackwright.fleet.reading.draft import Draft
from rackwright.fleet.sections.backup import HOST, KIT, Repository
from rackwright.roles.backup.settings import Access
from rackwright.roles.backup.settings import Repository as Settings
from rackwright.route import DIRECT
from rackwright.values.secrets import Secret
from rackwright.values.tool_mode import delivered, in_tool_mode

_DERIVED = "derived:"
"""Begins references that no fleet file can have: a host's own password, in place of the one for all."""
Resolve = Callable[[str, str], Secret]
"""Given a reference and its place, return the secret."""


def access_of(fleet: Fleet) -> Mapping[str, Mapping[str, Access]]:
    """Return the access of each host in service to each repository, by host and the repository's name.

    Raise SecretError or FleetError if one is unusable, or if two hosts, or a host and the kit, have the same secret.
    """
    resolve = _resolver(fleet)
    opened: dict[str, dict[str, Access]] = {name: {} for name in fleet.hosts}
    for place, asked in _placed(fleet):
        place = f"{fleet.path} {place}"
        ca = _ca(fleet, asked, place)
        for host in fleet.hosts:
            opened[host][asked.name] = _access(fleet, asked, host, place, resolve, ca)
        used = {host: opened[host][asked.name] for host in fleet.hosts}
        if has_kit(asked):
            # Hosts don't need the kit's secrets: without them an apply ends with an error, but it isn't refused.
            with suppress(SecretError):
                used["the kit"] = _access(fleet, asked, KIT, place, resolve, ca)
        _refuse_same(used, place)
    return opened


def has_kit(asked: Repository) -> bool:
    """Return whether this machine can reach the repository: a path is on the hosts' own disks."""
    return asked.kind != "path"


def kit_repositories(fleet: Fleet) -> tuple[str, ...]:
    """Return the names of the repositories to which the kit is saved."""
    backup = fleet.file.backup
    return tuple(asked.name for asked in backup.to if has_kit(asked)) if backup and backup.snapshots == "yes" else ()


def password_of(fleet: Fleet, host: str, to: str | None) -> tuple[str, Secret]:
    """Return the name of a repository of the fleet file, and the password of the host's restic repository there.

    `to` names the repository; None: the only one. The fleet file need not have the host any more. Raise UsageError if
    one can't be meant, SecretError if the reference doesn't resolve.
    """
    place, asked = _meant(fleet, host, to)
    return asked.name, _password(fleet, asked, host, f"{fleet.path} {place}", _resolver(fleet))


def reached_from_here(fleet: Fleet, host: str, to: str | None) -> tuple[Settings, Access]:
    """Return the host's restic repository as this machine reaches it, and its secrets.

    `to` and `host` are as in `password_of`, and so are the errors; FleetError if the CA's file can't be read.
    """
    place, asked = _meant(fleet, host, to)
    place = f"{fleet.path} {place}"
    access = _access(fleet, asked, host, place, _resolver(fleet), _ca(fleet, asked, place))
    return settings_of(asked.of(host), route_from_here(fleet)), access


@dataclass(frozen=True)
class OtherWay:
    """Another way to the repositories than the fleet file's `url` and login. {host} is replaced in all its texts."""

    url: str
    user: str | None = None
    """For rest: the user name."""
    login: str | None = None
    """For rest: the reference to the user's password."""


def reached_by(fleet: Fleet, host: str, to: str | None, way: OtherWay) -> tuple[Settings, Access]:
    """Return the host's restic repository as this machine reaches it by another way, and its secrets.

    With sftp, it uses the operator's own SSH configuration and keys. Errors are those of `reached_from_here`.
    """
    place, asked = _meant(fleet, host, to)
    place, resolve = f"{fleet.path} {place}", _resolver(fleet)
    url, user, login = (text and text.replace(HOST, host) for text in (way.url, way.user, way.login))
    ca, route = None, DIRECT
    if way.url.startswith("rest:"):
        ca, route = _ca(fleet, asked, place), route_from_here(fleet)
    settings = Settings(name=asked.name, url=url or "", user=user, own_ca=ca is not None, route=route)
    opened = resolve(login, "--login") if login else None
    return settings, Access(_password(fleet, asked, host, place, resolve), login=opened, ca_pem=ca)


def _meant(fleet: Fleet, host: str, to: str | None) -> tuple[str, Repository]:
    """Return one repository of the fleet file, and its place there."""
    known = {asked.name: (place, asked) for place, asked in _placed(fleet)}
    if not known:
        raise UsageError("the fleet file sets no backup", where="backup", should="this command needs one")
    if not Draft.is_name(host):
        raise UsageError("can't be a host's name", where=host, should="should be a name like gate1")
    name = to or next(iter(known))
    if name not in known or (to is None and len(known) > 1):
        what = "no repository of that name" if to else "there are several repositories"
        raise UsageError(what, where=to or "--to", should=f"should be one of {', '.join(known)}")
    return known[name]


def references_of(fleet: Fleet) -> Iterator[tuple[str, str]]:
    """Yield place and text of each reference to a secret of the repositories.

    One with {host} is yielded once for each host, and for the kit.
    """
    for place, asked in _placed(fleet):
        names = (*fleet.hosts, *([KIT] if has_kit(asked) else ()))
        for key, text in asked.references.items():
            if text and HOST in text:
                yield from ((f"{place}.{key} of {name}", text.replace(HOST, name)) for name in names)
            elif text:
                yield f"{place}.{key}", text


def derived(root: Secret, fleet: str, repository: str, host: str) -> Secret:
    """Return a host's password. It reveals neither `root` nor another host's password. The docs have the formula."""
    key = _stretched(root, f"rackwright backup/1\0{fleet}")
    return Secret(hmac.digest(key, f"{repository}\0{host}".encode(), "sha256").hex())


@cache
def _stretched(root: Secret, salt: str) -> bytes:
    # Slow, because an owned host can guess `root` from its own password for as long as it likes.
    return hashlib.scrypt(root.reveal().encode(), salt=salt.encode(), n=2**15, r=8, p=1, maxmem=2**26, dklen=32)


def _placed(fleet: Fleet) -> Iterator[tuple[str, Repository]]:
    for number, asked in enumerate(fleet.file.backup.to if fleet.file.backup else ()):
        yield f"backup.to[{number}]", asked


def _resolver(fleet: Fleet) -> Resolve:
    """Return a function that asks for each secret only once."""
    from rackwright.fleet.secrets import resolve

    known: dict[str, Secret] = {}

    def once(reference: str, where: str) -> Secret:
        if reference not in known:
            known[reference] = resolve(reference, where=where, folder=fleet.path.parent)
        return known[reference]

    return once


def _access(fleet: Fleet, asked: Repository, host: str, place: str, resolve: Resolve, ca: str | None) -> Access:
    own = asked.of(host)
    return Access(
        _password(fleet, asked, host, place, resolve),
        resolve(own.key, f"{place}.key") if own.key else None,
        resolve(own.login, f"{place}.login") if own.login else None,
        ca,
    )


def passwords_to_deliver(fleet: Fleet) -> Iterator[tuple[str, str]]:
    """Yield place and reference of each host's password that the tool on a control host gets in place of the one from
    which they are derived. `password_delivered` resolves such a reference."""
    for place, asked in _placed(fleet):
        if HOST not in asked.password:
            yield from ((f"{place}.password of {host}", _derived_reference(asked, host)) for host in fleet.hosts)


def derives(asked: str) -> bool:
    """Return whether `passwords_to_deliver` yields this reference."""
    return asked.startswith(_DERIVED)


def password_delivered(fleet: Fleet, reference: str) -> Secret:
    """Return the host's password that a reference of `passwords_to_deliver` means. Raise SecretError as usual."""
    repository, host = reference.removeprefix(_DERIVED).split("/")
    return password_of(fleet, host, repository)[1]


def _derived_reference(asked: Repository, host: str) -> str:
    return f"{_DERIVED}{asked.name}/{host}"


def _password(fleet: Fleet, asked: Repository, host: str, place: str, resolve: Resolve) -> Secret:
    if in_tool_mode() and delivered(reference := _derived_reference(asked, host)).exists():
        return resolve(reference, f"{place}.password")
    found = resolve(asked.of(host).password, f"{place}.password")
    return found if HOST in asked.password else derived(found, fleet.file.fleet, asked.name, host)


def _refuse_same(hosts: Mapping[str, Access], place: str) -> None:
    for key in ("password", "key", "login"):
        first: dict[Secret, str] = {}
        for host, access in hosts.items():
            secret: Secret | None = getattr(access, key)
            if secret and (other := first.setdefault(secret, host)) != host:
                raise SecretError(
                    f"{other} and {host} have the same one",
                    where=f"{place}.{key}",
                    should="each host needs its own, or it could read or delete the other's snapshots",
                )


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
