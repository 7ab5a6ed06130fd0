"""Where the hosts' backups go, when, and for how long; and what follows from it for one host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, model_validator

from rackwright.errors import FleetError, Problem
from rackwright.fleet.source import FileSource, parse_source
from rackwright.roles.backup.settings import Access, Settings
from rackwright.roles.backup.settings import Repository as RepositorySettings
from rackwright.route import DIRECT, Route
from rackwright.values import ControllerPath, Frozen, HostPath, Line, Manage, Name, Seconds, SecretReference, Shape

if TYPE_CHECKING:
    from rackwright.fleet.lock import Lock
    from rackwright.fleet.model import Fleet

_MACHINE = r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])"
_FOLDER = r"/[A-Za-z0-9/._@+-]+"
_URL = re.compile(
    rf"(?P<path>{_FOLDER})"
    rf"|(?P<sftp>sftp:[A-Za-z_][A-Za-z0-9_.-]*@{_MACHINE}:{_FOLDER}"
    rf"|sftp://[A-Za-z_][A-Za-z0-9_.-]*@{_MACHINE}(:[0-9]{{1,5}})?/{_FOLDER})"
    rf"|(?P<rest>rest:https?://{_MACHINE}(:[0-9]{{1,5}})?(/[A-Za-z0-9._~%+@=/-]*)?)"
)
_HIDDEN = ("etc", "usr", "bin", "sbin", "lib", "lib64", "boot", "dev", "proc", "sys", "run", "tmp", "root", "home")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
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


def _url(text: str) -> str:
    match = _URL.fullmatch(text)
    if not match or ".." in text.split("/"):
        if re.match(r"rest:https?://[^/]*@", text):
            raise ValueError("has a login in it; write it as user: NAME and login: a secret's reference")
        raise ValueError("should be /path, sftp:user@host:/path or rest:https://host:8000/path")
    if match["path"] and text.split("/")[1] in _HIDDEN:
        raise ValueError("is a folder of the system, or hidden from services; should be like /srv/backup")
    return text.rstrip("/")


def _time(text: str) -> str:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError("should be a time of day like '02:30', in quotes")
    return text


def _weekly(text: str) -> str:
    day, _, time = text.partition(" ")
    if day not in _DAYS:
        raise ValueError("should be a weekday and a time, like 'sun 04:30'")
    return f"{day} {_time(time)}"


class Repository(Frozen):
    """A place that every host saves to, each into a repository of its own: URL/HOST."""

    name: Name
    url: Annotated[Line, AfterValidator(_url)]
    password: SecretReference
    """What the snapshots are encrypted with. Without it they are lost."""
    append_only: Manage = "no"
    """Whether the server refuses to delete: then it forgets and prunes by itself."""
    mount: HostPath | None = None
    """Of a path: the mount it is on. While that isn't mounted, backups fail instead of filling the disk below."""
    key: SecretReference | None = None
    """Of sftp: the private SSH key of the user there."""
    host_key: (
        Annotated[
            Line, Shape(r"(ssh|ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]{40,}={0,3}", "should be like ssh-ed25519 AAAA…")
        ]
        | None
    ) = None
    """Of sftp: the server's public key."""
    user: Annotated[Line, Shape("[A-Za-z0-9_.@-]{1,64}", "should be letters, digits and _ . @ - only")] | None = None
    """Of rest: who logs in there."""
    login: SecretReference | None = None
    """Of rest: the password of that user."""
    ca: ControllerPath | None = None
    """Of rest: PEM file of the authority that the server's certificate is verified with; the system's when absent."""

    @property
    def kind(self) -> str:
        """path, sftp or rest."""
        return "path" if self.url.startswith("/") else self.url.partition(":")[0]

    @model_validator(mode="after")
    def _whole(self) -> Repository:
        belongs = {"path": {"mount"}, "sftp": {"key", "host_key"}, "rest": {"user", "login", "ca"}}
        given = {key for keys in belongs.values() for key in keys if getattr(self, key) is not None}
        if wrong := sorted(given - belongs[self.kind]):
            raise ValueError(f"{', '.join(wrong)}: not of a {self.kind} repository; leave it out")
        if missing := {"key", "host_key"} - given if self.kind == "sftp" else ():
            raise ValueError(
                f"missing key {' and '.join(sorted(missing))}; sftp needs both, nothing is trusted unseen"
            )
        if (self.user is None) != (self.login is None):
            raise ValueError("user and login go together; write both or none")
        if self.mount and not f"{self.url}/".startswith(f"{self.mount}/"):
            raise ValueError(f"{self.url} is not below the mount {self.mount}; should be")
        return self


class Backup(Frozen):
    """What each host saves of itself every day."""

    to: Annotated[tuple[Repository, ...], Field(min_length=1)]
    at: Annotated[Line, AfterValidator(_time)] = "02:30"
    """Time of day of the snapshots."""
    check: Annotated[Line, AfterValidator(_weekly)] = "sun 04:30"
    """Weekday and time at which each repository is checked, and a quarter of its data read."""
    keep_within: Annotated[Seconds, Field(ge=86400)] = 30 * 86400
    """Snapshots so much older than the newest are removed."""
    models: Manage = "yes"
    """Whether weights that came from a file of yours are saved; others can be fetched again."""

    @model_validator(mode="after")
    def _named_apart(self) -> Backup:
        names = [repository.name for repository in self.to]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)}: this name stands twice; each repository needs its own")
        return self


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
            for key, reference in references(asked).items()
        }
        password = found["password"]
        assert password is not None  # noqa: S101 — its reference is never absent
        opened[asked.name] = Access(password, found["key"], found["login"], _authority(fleet, asked, place))
    return opened


def references(asked: Repository) -> dict[str, str | None]:
    """Return the repository's secrets as the fleet file names them, by key."""
    return {"password": asked.password, "key": asked.key, "login": asked.login}


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
