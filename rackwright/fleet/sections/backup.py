"""`backup`: the hosts' backup repositories, the schedule, and how long snapshots are kept."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from rackwright.fleet.sections.forms import SYSTEM_FOLDERS
from rackwright.values.amounts import Seconds
from rackwright.values.base import Frozen
from rackwright.values.host_key import HostKey
from rackwright.values.paths import ControllerPath, HostPath
from rackwright.values.secrets import SecretReference
from rackwright.values.text import Line, Manage, Name, Shape

HOST = "{host}"
"""In a login or a reference to a secret: the host's name."""
KIT = "kit"
"""Takes the place of a host's name in the kit's repositories."""
_MACHINE = r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])"
_FOLDER = r"/[A-Za-z0-9/._@+-]+"
_URL = re.compile(
    rf"(?P<path>{_FOLDER})"
    rf"|(?P<sftp>sftp:[A-Za-z_][A-Za-z0-9_.-]*@{_MACHINE}:{_FOLDER}"
    rf"|sftp://[A-Za-z_][A-Za-z0-9_.-]*@{_MACHINE}(:[0-9]{{1,5}})?/{_FOLDER})"
    rf"|(?P<rest>rest:https?://{_MACHINE}(:[0-9]{{1,5}})?(/[A-Za-z0-9._~%+@=/-]*)?)"
)
_EXAMPLES = {
    "url": '"sftp:{host}@server:/path"',
    "key": '"file:~/.ssh/backup-{host}"',
    "user": '"{host}"',
    "login": '"cmd:pass show backup/{host}"',
}
"""Key → how it names the host's own login."""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _url(text: str) -> str:
    match = _URL.fullmatch(text.replace(HOST, "host"))
    if not match or ".." in text.split("/"):
        if re.match(r"rest:https?://[^/]*@", text):
            raise ValueError("contains a login; write it as user: NAME and login: SECRET REFERENCE")
        raise ValueError("should be /path, sftp:user@host:/path or rest:https://host:8000/path")
    if match["path"] and HOST in text:
        raise ValueError(f"contains {HOST}; leave it out, because each host's repository is URL/HOST")
    if match["path"] and text.split("/")[1] in SYSTEM_FOLDERS:
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
    """A place for backups; every host has a restic repository of its own there: URL/HOST.

    In `url`, `user` and the references to secrets, {host} is replaced by the host's name.
    """

    name: Name
    url: Annotated[Line, AfterValidator(_url)]
    password: SecretReference
    """The secret from which each host's password is derived; with {host}, the reference to that password itself."""
    append_only: Manage = "no"
    """Whether the server refuses deletions; then the server must forget and prune snapshots itself."""
    mount: HostPath | None = None
    """For a path: its mount point. While it isn't mounted, backups fail instead of filling the disk below it."""
    key: SecretReference | None = None
    """For sftp: the user's private SSH key."""
    host_key: HostKey | None = None
    """For sftp: the server's public host key."""
    user: (
        Annotated[
            Line, Shape(r"([A-Za-z0-9_.@-]|\{host\}){1,64}", "should be letters, digits and _ . @ - only, or {host}")
        ]
        | None
    ) = None
    """For rest: the user name."""
    login: SecretReference | None = None
    """For rest: the user's password."""
    ca: ControllerPath | None = None
    """For rest: a PEM file with the CAs that verify the server; downloads.ca_bundle or the system's CAs if absent."""

    @property
    def kind(self) -> str:
        """path, sftp or rest."""
        return "path" if self.url.startswith("/") else self.url.partition(":")[0]

    @property
    def references(self) -> dict[str, str | None]:
        """Key → secret reference."""
        return {"password": self.password, "key": self.key, "login": self.login}

    def of(self, host: str) -> Repository:
        """Return the repository as this host uses it: without {host}, and with the host's folder in the URL."""
        texts = {"url": f"{self.url}/{host}", "user": self.user, **self.references}
        return self.model_copy(update={key: text and text.replace(HOST, host) for key, text in texts.items()})

    @model_validator(mode="after")
    def _whole(self) -> Repository:
        belongs = {"path": {"mount"}, "sftp": {"key", "host_key"}, "rest": {"user", "login", "ca"}}
        given = {key for keys in belongs.values() for key in keys if getattr(self, key) is not None}
        if wrong := sorted(given - belongs[self.kind]):
            raise ValueError(f"{', '.join(wrong)}: not valid for a {self.kind} repository; leave it out")
        if missing := {"key", "host_key"} - given if self.kind == "sftp" else ():
            raise ValueError(
                f"missing key {' and '.join(sorted(missing))}; sftp needs both, because it trusts no unknown host key"
            )
        if self.mount and not f"{self.url}/".startswith(f"{self.mount}/"):
            raise ValueError(f"{self.url} is not below the mount {self.mount}; should be below it")
        return self

    @model_validator(mode="after")
    def _login_of_each_host(self) -> Repository:
        logins: dict[str, dict[str, str | None]] = {
            "path": {},
            "sftp": {"url": self.url.partition("@")[0], "key": self.key},
            "rest": {"user": self.user, "login": self.login},
        }
        for key, text in logins[self.kind].items():
            if HOST not in (text or ""):
                raise ValueError(
                    f"{key} should contain {HOST}, like {_EXAMPLES[key]}; "
                    "without a login of its own, each host could read or delete the others' snapshots"
                )
        return self


class Backup(Frozen):
    """Daily backups of each host."""

    to: Annotated[tuple[Repository, ...], Field(min_length=1)]
    at: Annotated[Line, AfterValidator(_time)] = "02:30"
    """Time of day of the snapshots."""
    check: Annotated[Line, AfterValidator(_weekly)] = "sun 04:30"
    """Weekday and time at which each repository is checked; a check reads a quarter of its data."""
    keep_within: Annotated[Seconds, Field(ge=86400)] = 30 * 86400
    """Snapshots are removed when they are older than the newest by more than this."""
    models: Manage = "yes"
    """Whether to back up weights with the source file:PATH; other weights can be fetched again."""
    builds: Manage = "yes"
    """Whether hosts keep and back up runtimes with the build file:PATH."""
    packages: Manage = "yes"
    """Whether to back up the packages of the locked driver and CUDA toolkit, because archives drop versions."""
    snapshots: Manage = "yes"
    """Whether hosts make snapshots. With no they only restore, and no kit is saved: for a copy of the fleet."""

    @model_validator(mode="after")
    def _named_apart(self) -> Backup:
        names = [repository.name for repository in self.to]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)}: this name appears twice; each repository needs its own name")
        return self
