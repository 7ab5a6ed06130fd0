"""restic on this machine, for repositories that are reached without their host."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import join, quote

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.backup.private_folder import private_folder
from rackwright.remote.completed import Completed
from rackwright.remote.local import LocalTransport
from rackwright.roles.backup.scripts import sftp_arguments
from rackwright.roles.backup.settings import OLDEST_RESTIC, Access, Repository, is_old

OUTPUT_LIMIT = 64 << 20
LOCKED, NO_REPOSITORY, WRONG_PASSWORD = 11, 10, 12
"""restic's exit codes."""
_OWN_SSH = "-o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=30 -o ServerAliveCountMax=4"
"""With the operator's own configuration, keys, agent and known hosts. A question would have no one to answer it."""
_VERSION = "restic version | cut -d ' ' -f 2"


@dataclass(frozen=True)
class Restic:
    """restic with the secrets of one repository."""

    where: str
    """What errors name: the repository."""
    _command: str = field(repr=False)
    """Up to restic's own arguments. It names files with secrets, and contains none."""
    owner: tuple[int, int] | None = None
    """User and group as which root runs it; None: it runs as this user."""

    def command(self, *arguments: str) -> str:
        """Return the shell command that runs restic with these arguments."""
        return f"{self._command} {join(arguments)}"

    def __call__(
        self,
        *arguments: str,
        stdin: bytes = b"",
        timeout: float | None = 120,
        limit: int = OUTPUT_LIMIT,
        folder: Path | None = None,
    ) -> Completed:
        """Run restic, in this folder if one is given.

        Raise HostError if it prints more than `limit` bytes or takes longer than `timeout` seconds.
        """
        given = [stdin] if stdin else []
        there = f"cd {quote(str(folder))} && " if folder else ""
        command = f"{there}{self.command(*arguments)}"
        return LocalTransport(self.where).execute(command, given, timeout=timeout, limit=limit)


@contextmanager
def restic_here(repository: Repository, access: Access) -> Iterator[Restic]:
    """Yield restic for this repository. Its secrets are in a folder that only this user can read, until it ends.

    root runs it as the owner of a repository in a folder: its host, or its server, could not read root's new files.
    Raise RackwrightError if this machine has no restic, or one that is too old, HostError if another user owns it.
    """
    restic_version()
    owner = _owner(repository)
    with private_folder(for_others=owner is not None) as folder:
        command = _command(repository, access, folder)
        if owner:
            command = f"setpriv --reuid {owner[0]} --regid {owner[1]} --clear-groups {command}"
            for path in (folder, *folder.iterdir()):
                os.chown(path, *owner)
        yield Restic(repository.name, command, owner)


def _owner(repository: Repository) -> tuple[int, int] | None:
    """Return user and group as which root runs restic, None if restic runs as this user."""
    if repository.kind != "path":
        return None
    config = Path(repository.url, "config")
    try:
        found = config.stat()
    except OSError:
        # restic says what is wrong there.
        return None
    if found.st_uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise HostError(
            f"{config} belongs to user {found.st_uid}",
            where=repository.url,
            should="the files of a repository belong to one user: run this as that user, or as root",
        )
    return found.st_uid, found.st_gid


def restic_version() -> str:
    """Return the version of restic on this machine. Raise RackwrightError if it has none, or one that is too old."""
    should, following = f"should be {OLDEST_RESTIC} or newer", "apt-get install restic"
    if not shutil.which("restic"):
        raise RackwrightError("restic isn't installed on this machine", where="restic", should=should, next=following)
    answer = LocalTransport("restic").execute(_VERSION, [], timeout=20, limit=1000)
    version = answer.check("asking for restic's version").stdout.strip()
    if is_old(version):
        raise RackwrightError(
            f"restic {version} is too old on this machine",
            where="restic",
            should=should,
            next="install a newer one in /usr/local/bin",
        )
    return version


def _command(repository: Repository, access: Access, folder: Path) -> str:
    names = ("password", *(["key"] if access.key else []), *(["repository"] if repository.user else []))
    files = {name: _file(folder / name, access.secret(name, repository).reveal()) for name in names}
    words = ["restic", "--password-file", files["password"], "--no-cache"]
    words += ["--repository-file", files["repository"]] if repository.user else ["--repo", repository.url]
    if repository.kind == "sftp" and not repository.known_hosts:
        words += ["-o", f"sftp.args={_OWN_SSH}"]
    elif repository.kind == "sftp":
        known = _file(folder / "known_hosts", f"{repository.known_hosts}\n")
        words += ["-o", f"sftp.args={sftp_arguments(quote(files['key']), quote(known))}"]
    elif access.ca_pem or repository.route.ca_bundle:
        own = access.ca_pem and _file(folder / "ca.crt", access.ca_pem)
        words += ["--cacert", own or str(Path(str(repository.route.ca_bundle)).absolute())]
    return f"env {join(_route(repository))} {join(words)}"


def _route(repository: Repository) -> tuple[str, ...]:
    """Return the proxy variables. If the fleet file sets a proxy, the machine's own proxy settings don't apply."""
    if repository.proxy:
        proxy = repository.proxy
        return (f"HTTP_PROXY={proxy}", f"HTTPS_PROXY={proxy}", "NO_PROXY=", "no_proxy=")
    return ("NO_PROXY=*",) if repository.route.proxy else ()


def _file(path: Path, content: str) -> str:
    path.touch(mode=0o600)
    path.write_text(content)
    return str(path)
