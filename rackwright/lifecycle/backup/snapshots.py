"""The snapshots that repositories have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from typing import Annotated

from pydantic import AwareDatetime, Field, TypeAdapter

from rackwright.errors import HostError
from rackwright.fleet.sections.backup import KIT
from rackwright.lifecycle.backup.destinations import Place
from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_answer
from rackwright.roles.backup.settings import FOLDER
from rackwright.state.formats import stamp
from rackwright.values.base import Stored


@dataclass(frozen=True)
class Listed:
    """A snapshot, as its repository lists it."""

    host: str
    """`kit` for the kit."""
    repository: str
    id: str
    time: str
    author: str
    """Who made it, as USER@HOST. An attacker who can write to the repository can choose this text."""
    files: int | None
    bytes: int | None

    @property
    def foreign(self) -> bool:
        """Whether its author isn't root on the host that the repository belongs to; any operator saves the kit."""
        return not self.author.endswith(f"@{KIT}") if self.host == KIT else self.author != f"root@{self.host}"

    @property
    def expected(self) -> str:
        """Who should have made it."""
        return f"an operator as NAME@{KIT}" if self.host == KIT else f"root@{self.host}"


_Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Summary(Stored):
    files: _Count | None = Field(None, alias="total_files_processed")
    bytes: _Count | None = Field(None, alias="total_bytes_processed")
    began: AwareDatetime | None = Field(None, alias="backup_start")


class Snapshot(Stored):
    """One snapshot in restic's JSON."""

    id: str
    time: AwareDatetime
    hostname: str
    username: str | None = None
    tags: tuple[str, ...] | None = None
    paths: tuple[str, ...] = ()
    summary: _Summary | None = None
    """None: an older restic wrote it."""

    @property
    def author(self) -> str:
        """Who made it, as USER@HOST. An attacker who can write to the repository can choose this text."""
        return f"{self.username or 'nobody'}@{self.hostname}"

    @property
    def files(self) -> int | None:
        return self.summary.files if self.summary else None

    @property
    def bytes(self) -> int | None:
        return self.summary.bytes if self.summary else None

    @property
    def began(self) -> datetime | None:
        """When restic began to make it. `time` can be another one: restic has an option for it."""
        return self.summary.began if self.summary else None


_SNAPSHOTS = TypeAdapter(tuple[Snapshot, ...] | None)


def parse_snapshots(output: str) -> tuple[Snapshot, ...]:
    """Parse the output of `restic snapshots --json`. Raise ValueError if it is something else."""
    return _SNAPSHOTS.validate_json(output) or ()


def listed(session: Session, wanted: Sequence[Place]) -> tuple[tuple[Listed, ...], dict[Place, str]]:
    """Ask the repositories for their snapshots; return the snapshots, and for each place that failed the reason."""
    found: list[Listed] = []
    problems: dict[Place, str] = {}

    def ask(host: str) -> None:
        for place in (place for place in wanted if place[0] == host):
            try:
                found.extend(_listed(session, place))
            except HostError as error:
                problems[place] = error.problems[0].what

    session.remote.each([host for host, _ in wanted], ask)
    return tuple(sorted(found, key=lambda one: (one.host, one.repository, one.time))), problems


def _listed(session: Session, place: Place) -> Iterator[Listed]:
    host, name = place
    for one in snapshots_through(session, place):
        yield Listed(host, name, one.id, stamp(one.time), one.author, one.files, one.bytes)


def snapshots_through(session: Session, place: Place) -> tuple[Snapshot, ...]:
    """Return the snapshots that the host's repository has, asked through the host. Raise HostError if it can't be."""
    host, name = place
    words = f"timeout 120 {FOLDER}/restic.sh {quote(name)} snapshots --json --no-lock"
    answer = session.remote.connection(host).run(words, timeout=180).check("asking the repository")
    return read_answer(host, "restic's list of snapshots", parse_snapshots, answer.stdout)
