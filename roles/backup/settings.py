"""What one host backs up, to which repositories, when, and how long snapshots are kept."""

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
"""Has one NAME.json per repository, format backup/1: what the last runs did."""
OLDEST_RESTIC = "0.17.0"
"""Earlier versions report the same error for a locked, a missing and a damaged repository."""
SCRIPTS = ("state.sh", "common.sh", "run.sh", "check.sh", "adopt.sh", "hashes.sh", "restore.sh", "restic.sh")
"""In FOLDER, the same on every host."""
PARTS = 4
"""Each weekly check reads one of this many parts of the data, so that every byte is read within four weeks."""


RESTORES = "/var/lib/rackwright/restore"
"""Has what a restore brings back before it is switched in, and the state that the last restore replaced."""
RESTORE_UNIT = "rackwright-restore"
"""The transient unit of a restore: one at a time on a host."""


def is_old(version: str) -> bool:
    """Return whether a version of restic, like 0.18.0 or Debian's 0.16.4-2, is older than OLDEST_RESTIC."""
    return _numbers(version) < _numbers(OLDEST_RESTIC)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())


class Repository(Frozen):
    """One place where this host's snapshots are stored."""

    name: Name
    url: Line
    """For restic: /path, sftp:user@host:/path or rest:https://…, including this host's folder; no password."""
    append_only: bool = False
    """The host doesn't forget or prune snapshots: the server refuses this and does it itself."""
    mount: HostPath | None = None
    """For a path: nothing is written unless this is mounted."""
    known_hosts: Line | None = None
    """For sftp: the server's line in known_hosts."""
    user: Line | None = None
    """For rest: the user name at the server."""
    own_ca: bool = False
    """For rest: whether its certificate is verified with its own CA instead of the route's."""
    route: Route = DIRECT
    """For rest: how its server is reached."""

    @property
    def kind(self) -> str:
        """path, sftp or rest."""
        return "path" if self.url.startswith("/") else self.url.partition(":")[0]

    @property
    def ca(self) -> str | None:
        """File of the CA with which the server's certificate is verified; None: the system's CAs."""
        return f"{self.stem}.ca.crt" if self.own_ca else self.route.ca_bundle

    @property
    def proxy(self) -> str | None:
        return self.route.proxy_for(self.url.removeprefix("rest:"))

    @property
    def stem(self) -> str:
        """Path of its files, without ending."""
        return f"{FOLDER}/{self.name}"

    @property
    def run_unit(self) -> str:
        """Name of the snapshot's service and timer, without ending."""
        return f"rackwright-backup@{self.name}"

    @property
    def check_unit(self) -> str:
        return f"rackwright-backup-check@{self.name}"

    @property
    def units(self) -> tuple[str, ...]:
        return tuple(f"{unit}.{kind}" for unit in (self.run_unit, self.check_unit) for kind in ("service", "timer"))

    @property
    def credentials(self) -> tuple[str, ...]:
        """Names of the secrets that its units get."""
        return ("password", *(["key"] if self.kind == "sftp" else []), *(["repository"] if self.user else []))

    @property
    def files(self) -> tuple[str, ...]:
        """All files that may be in FOLDER for it."""
        endings = ("values", "known_hosts", "ca.crt", *(f"{name}.cred" for name in self.credentials))
        return tuple(f"{self.stem}.{ending}" for ending in endings)


@dataclass(frozen=True)
class Access:
    """The secrets of a repository; never in settings, because those are shown."""

    password: Secret
    key: Secret | None = None
    """For sftp: the private SSH key."""
    login: Secret | None = None
    """For rest: the password of `user`."""
    ca_pem: str | None = field(default=None, repr=False)
    """For rest: the CA with which its certificate is verified; None: the route's, or the system's."""

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
    """The host's name in snapshots."""
    repositories: tuple[Repository, ...]
    sources: tuple[HostPath, ...]
    """Folders that are backed up; if one is missing or empty, the backup fails."""
    must: tuple[HostPath, ...]
    """Files that each good snapshot must have."""
    exclude: tuple[Line, ...] = ()
    """restic's exclude patterns, without spaces."""
    timezone: Line = "UTC"
    at: Line = "02:30"
    """Time of day of the daily snapshot."""
    check: Line = "Sun 04:30"
    """Weekday and time of the weekly check."""
    keep_hours: int = 720
    """Snapshots that are at most this much older than the newest one are kept."""
    snapshots: bool = True
    """Whether the host makes and checks snapshots; if not, it only restores."""

    @property
    def saving(self) -> tuple[Repository, ...]:
        """The repositories to which the host makes snapshots."""
        return self.repositories if self.snapshots else ()

    @property
    def units(self) -> tuple[str, ...]:
        return tuple(unit for repository in self.saving for unit in repository.units)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths that belong in /etc/rackwright."""
        fixed = (f"{FOLDER}/{name}" for name in SCRIPTS)
        return (FOLDER, *fixed, *(file for repository in self.repositories for file in repository.files))
