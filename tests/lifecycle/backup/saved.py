"""A fleet whose gate1 is saved by real restic into real repositories on this machine."""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rackwright.fleet.backup_access import reached_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.backup import choose as choosing
from rackwright.lifecycle.backup.at import NEWEST, At
from rackwright.lifecycle.backup.choose import Chosen, choose
from rackwright.lifecycle.backup.reader import Reader, readers
from rackwright.lifecycle.backup.restic_here import restic_here
from tests.fleet.fleets import make_fleet

HOST = "gate1"
PASSWORD = "a password"
RECORD = '{{"format": "record/1",{} "lock": "a", "when": "2026-11-01T08:00:00Z", "who": "anna", "run": "r"}}'


@dataclass
class Saved:
    fleet: Fleet
    root: Path
    """What stands for the host's /."""

    @property
    def etc(self) -> Path:
        return self.root / "etc/rackwright"

    @property
    def var(self) -> Path:
        return self.root / "var/lib/rackwright"

    def folder(self, name: str) -> Path:
        """Return a repository's folder."""
        return self.root.parent / name / HOST

    def restic(self, name: str, *words: str, host: str = HOST) -> str:
        with restic_here(*reached_from_here(self.fleet, host, name)) as restic:
            return restic(*words).check(f"restic {words[0]}").stdout

    def save(
        self, name: str, *more: str, author: str = HOST, tag: str = "rackwright", only: Path | None = None
    ) -> str:
        """Make a snapshot and return its ID."""
        given = [str(only)] if only else [str(self.etc), str(self.var)]
        words = ["backup", "--json", "--host", author, "--tag", tag, *more, "--", *given]
        return self.restic(name, *words).split('"snapshot_id":"')[1][:64]

    def belongs_to(self, fleet: str | None) -> None:
        """Let the host's record name this fleet."""
        (self.var / "record.json").write_text(RECORD.format(f' "fleet": "{fleet}",' if fleet else ""))

    def also(self, name: str) -> None:
        """Copy the repository `one` to another of the fleet's repositories."""
        shutil.copytree(self.folder("one"), self.folder(name))

    @contextmanager
    def ways(self, only: str | None = None) -> Iterator[tuple[Reader, ...]]:
        with readers(self.fleet, HOST, None, only=only) as ways:
            yield ways

    def of(self, ways: tuple[Reader, ...]) -> Chosen:
        """Return the newest snapshot that may be taken."""
        return choose(ways, "acme", datetime.now(UTC))

    def chosen(self, at: At = NEWEST, *, later: timedelta = timedelta(0), only: str | None = None) -> Chosen:
        with self.ways(only) as ways:
            return choose(ways, "acme", datetime.now(UTC) + later, at)


def described(folder: Path, *more: dict[str, Any], **names: str) -> Fleet:
    """Return a fleet with the repositories `one` and `two` in this folder, and more."""
    (folder / "password-gate1").write_text(PASSWORD)
    places = [{"name": name, "url": str(folder / name)} for name in ("one", "two")]
    return make_fleet(
        folder / "acme.yml", backup={"to": [{**one, "password": "file:password-{host}"} for one in (*places, *more)]}
    )


def here(folder: Path, patch: pytest.MonkeyPatch) -> Saved:
    """Return a fleet whose host's files are below the folder, and no repository yet."""
    folder.mkdir(exist_ok=True)
    saved = constants(folder, patch)
    for path in (saved.etc, saved.var):
        path.mkdir(parents=True)
    (saved.etc / "gateway.cfg").write_text("listen\n")
    (saved.var / "audit.log").write_text("line\n" * 100)
    saved.belongs_to("acme")
    return saved


def constants(folder: Path, patch: pytest.MonkeyPatch) -> Saved:
    """Let this folder stand for the hosts' /, and this user for their root."""
    patch.setattr("rackwright.fleet.sections.backup.SYSTEM_FOLDERS", ())
    saved = Saved(described(folder), folder / "host")
    patch.setattr(choosing, "USER", getpass.getuser())
    patch.setattr(choosing, "PATHS", (str(saved.etc), str(saved.var)))
    patch.setattr(choosing, "STATE", str(saved.var))
    return saved


def corrupt(path: Path) -> None:
    """Change a byte in the middle of a file."""
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
