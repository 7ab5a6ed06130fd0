"""What one host saves, where to, when, and how long it is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

from rackwright.route import DIRECT, Route
from rackwright.values.base import Frozen
from rackwright.values.paths import HostPath
from rackwright.values.secrets import Secret
from rackwright.values.text import Line, Name

FOLDER = "/etc/rackwright/backup"
STATE = "/var/lib/rackwright/backup"
"""One NAME.json a repository, format backup/1: what the last runs did."""
OLDEST_RESTIC = "0.17.0"
"""Earlier ones tell neither a locked repository, nor one that isn't there, from a damaged one."""
SCRIPTS = ("common.sh", "run.sh", "check.sh", "restic.sh")
"""In FOLDER, the same on every host."""
PARTS = 4
"""A weekly check reads one part of the data: every byte within four weeks."""


def is_old(version: str) -> bool:
    """Whether a version of restic, like 0.18.0 or Debian's 0.16.4-2, is older than it should be."""
    return _numbers(version) < _numbers(OLDEST_RESTIC)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())


class Repository(Frozen):
    """One place that this host's snapshots go to."""

    name: Name
    url: Line
    """restic's: /path, sftp:user@host:/path or rest:https://…, this host's own folder included; no password."""
    append_only: bool = False
    """Nothing is forgotten or pruned from here: the server refuses it, and looks after it itself."""
    mount: HostPath | None = None
    """Of a path: without this mount nothing is written."""
    known_hosts: Line | None = None
    """Of sftp: the server's line for known_hosts."""
    user: Line | None = None
    """Of rest: who logs in there."""
    own_ca: bool = False
    """Of rest: its certificate is verified with a CA of its own, not the route's."""
    route: Route = DIRECT
    """Of rest: how its server is reached."""

    @property
    def kind(self) -> str:
        """path, sftp or rest."""
        return "path" if self.url.startswith("/") else self.url.partition(":")[0]

    @property
    def ca(self) -> str | None:
        """File of whom the server's certificate is verified with; None: the system's."""
        return f"{self.stem}.ca.crt" if self.own_ca else self.route.ca_bundle

    @property
    def proxy(self) -> str | None:
        return self.route.proxy_for(self.url.removeprefix("rest:"))

    @property
    def stem(self) -> str:
        """Of its files, without ending."""
        return f"{FOLDER}/{self.name}"

    @property
    def run_unit(self) -> str:
        """Of service and timer, without ending."""
        return f"rackwright-backup@{self.name}"

    @property
    def check_unit(self) -> str:
        return f"rackwright-backup-check@{self.name}"

    @property
    def units(self) -> tuple[str, ...]:
        return tuple(f"{unit}.{kind}" for unit in (self.run_unit, self.check_unit) for kind in ("service", "timer"))

    @property
    def credentials(self) -> tuple[str, ...]:
        """Names of the secrets that its units are handed."""
        return ("password", *(["key"] if self.kind == "sftp" else []), *(["repository"] if self.user else []))

    @property
    def files(self) -> tuple[str, ...]:
        """All that may stand in FOLDER for it."""
        endings = ("values", "known_hosts", "ca.crt", *(f"{name}.cred" for name in self.credentials))
        return tuple(f"{self.stem}.{ending}" for ending in endings)


@dataclass(frozen=True)
class Access:
    """What opens a repository; never in settings, for those are shown."""

    password: Secret
    key: Secret | None = None
    """Of sftp: the private SSH key."""
    login: Secret | None = None
    """Of rest: the password of `user`."""
    ca_pem: str | None = field(default=None, repr=False)
    """Of rest: whom its certificate is verified with; None: the route's, or the system's."""

    def secret(self, name: str, repository: Repository) -> Secret:
        """Return one of the repository's `credentials`."""
        if name == "key" and self.key:
            return Secret(self.key.reveal().rstrip("\n") + "\n")
        if name == "repository" and self.login and repository.user:
            scheme, _, place = repository.url.partition("://")
            login = f"{quote(repository.user, safe='')}:{quote(self.login.reveal(), safe='')}"
            return Secret(f"{scheme}://{login}@{place}")
        return self.password


class Settings(Frozen):
    host: Name
    """As snapshots name it."""
    repositories: tuple[Repository, ...]
    sources: tuple[HostPath, ...]
    """Folders that are saved; one that is missing or empty fails the backup."""
    must: tuple[HostPath, ...]
    """Files without which no snapshot counts as good."""
    exclude: tuple[Line, ...] = ()
    """restic's patterns, without blanks."""
    timezone: Line = "UTC"
    at: Line = "02:30"
    """Time of day of the daily snapshot."""
    check: Line = "Sun 04:30"
    """Weekday and time of the weekly check."""
    keep_hours: int = 720
    """Snapshots made so long before the newest are kept."""

    @property
    def units(self) -> tuple[str, ...]:
        return tuple(unit for repository in self.repositories for unit in repository.units)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths that belong in /etc/rackwright."""
        fixed = (f"{FOLDER}/{name}" for name in SCRIPTS)
        return (FOLDER, *fixed, *(file for repository in self.repositories for file in repository.files))
