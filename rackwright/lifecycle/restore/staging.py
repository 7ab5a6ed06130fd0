"""The unit on a host that restores files next to those that it has: start it, watch it, clean up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from shlex import join

from rackwright.errors import HostError
from rackwright.lifecycle.backup.make import ResticProgress
from rackwright.lifecycle.restore import scripts
from rackwright.remote import Connection
from rackwright.remote.answers import read_answer
from rackwright.roles.backup.settings import FOLDER, RESTORE_UNIT, RESTORES, Repository
from rackwright.roles.backup.units import restore_properties
from rackwright.state.shell import command
from rackwright.stopping import Stopping

MARGIN = 256 * 2**20
"""Bytes that must stay free in addition to the restored files."""
_BUSY = ("activating", "active", "reloading", "deactivating")


@dataclass(frozen=True)
class Target:
    """One call of restic."""

    folder: str
    words: tuple[str, ...]
    """Arguments: the snapshot, and what of it. With `-vv`, each file is hashed."""
    bytes: int

    def __post_init__(self) -> None:
        # A list on the host has one target per line.
        assert join((self.folder, *self.words)) == " ".join((self.folder, *self.words)), self  # noqa: S101


@dataclass(frozen=True)
class Staging:
    """What one host restores, and where it is put until it is switched in."""

    repository: Repository
    snapshot: str
    """Full id."""
    targets: tuple[Target, ...]

    @property
    def folder(self) -> str:
        """The same for every try of the same restore, so that a second one continues the first."""
        return f"{RESTORES}/{self.repository.name}-{self.snapshot[:16]}"

    @property
    def restored(self) -> str:
        """Where the host's state is, before it is validated."""
        return f"{self.folder}/files/var/lib/rackwright"

    @property
    def hashes(self) -> str:
        """Has the sha256 and path of each file that was hashed: those of weights."""
        return f"{scripts.RUN}/{self.folder.rpartition('/')[2]}.hashes"

    @property
    def next(self) -> str:
        """Where the next state is, combined from the snapshot's and the host's."""
        return f"{self.folder}/next"


class NotRestored(HostError):
    """This repository can't restore it; another one may."""


def stage(shell: Connection, staging: Staging, show: ResticProgress, stopping: Stopping) -> None:
    """Restore the files next to the present ones. They are not validated yet.

    A restore that was cut off continues. Raise NotRestored if the repository can't provide them, HostError if the
    host can't be asked, or has no space, or runs another restore.
    """
    needed = [word for one in staging.targets for word in (one.folder, one.bytes + MARGIN)]
    words = (staging.folder, staging.folder, MARGIN, *needed, "--", *_systemd_run(staging))
    wanted = "".join(f"{one.folder} {' '.join(one.words)}\n" for one in staging.targets)
    shell.run(command(scripts.START, *words), stdin=wanted).check("starting the restore")
    why = _ended(shell, staging, show, stopping)
    if why != "complete":
        raise NotRestored(why.removeprefix("failed "), where=shell.name)


def without_strange(shell: Connection, folder: str) -> tuple[str, ...]:
    """Remove what rackwright never saves from a restored folder: links, devices, names that aren't plain.

    Return them, each after find's letter for its kind.
    """
    done = shell.run(command(scripts.STRANGE, folder), timeout=600).check("looking through the restored files")
    return tuple(done.stdout.splitlines())


def finish(shell: Connection, staging: Staging, weights: Iterable[str]) -> None:
    """Keep what was replaced for an undo, and remove what this and earlier restores left, also in these folders."""
    shell.run(command(scripts.FINISH, staging.folder, *weights), timeout=600).check("keeping what was replaced")


def discard(shell: Connection, staging: Staging) -> None:
    """Remove what a repository could provide, because another one is used in its place."""
    shell.run(command(scripts.DISCARD, staging.folder), timeout=600).check("removing what was restored")


def _ended(shell: Connection, staging: Staging, show: ResticProgress, stopping: Stopping) -> str:
    """Return the result that the unit recorded."""
    asking = f"asking for the state of {RESTORE_UNIT}"
    while True:
        said = shell.run(command(scripts.LOOK, staging.folder)).check(asking).stdout
        state, result, progress, error = read_answer(shell.name, asking, parse_look, said)
        if result:
            return result
        if state not in _BUSY:
            why = f": {error}" if error else ""
            raise HostError(
                f"{RESTORE_UNIT} ended without a result{why}",
                where=shell.name,
                next="the same command again, which continues it",
            )
        if stopping():
            raise HostError(
                "no longer watched; the restore continues there",
                where=shell.name,
                next="the same command again, which joins it",
            )
        show(progress, error)


def parse_look(output: str) -> tuple[str, str, str, str]:
    """Return the unit's state, its result or "", restic's last line and its last error.

    Raise ValueError if the answer is short.
    """
    lines = output.split("\n")
    if len(lines) < 3:
        raise ValueError("no state, no result, or no line of restic's")
    return lines[0], lines[1], lines[2], lines[3] if len(lines) > 3 else ""


def _systemd_run(staging: Staging) -> tuple[str, ...]:
    unit = (f"--unit={RESTORE_UNIT}", "--collect", "--quiet", "--expand-environment=no")
    about = "--description=rackwright: files of a snapshot"
    folders = (staging.folder, *(one.folder for one in staging.targets))
    properties = (f"--property={one}" for one in restore_properties(staging.repository, folders))
    script = ("/bin/sh", f"{FOLDER}/restore.sh", staging.repository.name, staging.folder)
    return (*unit, about, *properties, *script)
