"""Repositories of real restic on a backup server, as an operator who may delete there sees them."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rackwright.fleet.backup_access import password_of
from rackwright.fleet.fleet import Fleet
from tests.cheap_key import empty_repository
from tests.fleet.fleets import make_fleet
from tests.rest_server import USERS, login_of

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAYS = (100, 50, 10, 1)
"""Ages of a repository's snapshots."""


def fleet_at(folder: Path, url: str = "rest:https://127.0.0.1:1", ca: str | None = None) -> Fleet:
    """Return a fleet of gate1 and gpu1, whose backups are at this URL; its secrets are in the folder."""
    (folder / "password").write_text("correct horse")
    for user in USERS:
        (folder / f"{user}.login").write_text(login_of(user))
    web = {"name": "web", "url": url, "user": "{host}", "login": "file:{host}.login", "append_only": "yes"}
    if ca:
        (folder / "ca.crt").write_text(ca)
        web["ca"] = "ca.crt"
    return make_fleet(folder / "acme.yml", backup={"to": [web | {"password": "file:password"}]})


@dataclass(frozen=True)
class Kept:
    """One host's repository in a folder."""

    fleet: Fleet
    folder: Path
    host: str

    def restic(self, *words: str) -> str:
        password = password_of(self.fleet, self.host, None)[1].reveal()
        environment = {**os.environ, "RESTIC_PASSWORD": password}
        command = ["restic", "--repo", str(self.folder), "--no-cache", *words]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    def add(self, age: timedelta, host: str | None = None) -> str:
        """Save a file as root at this host (its own one), dated so much before NOW; return the snapshot's id."""
        time = f"{(NOW - age).astimezone():%Y-%m-%d %H:%M:%S}"
        before = self.ids
        saved = self.folder.parent / f"{self.host}.saved"
        saved.write_text(f"{age}\n" * 1000)
        self.restic("backup", "-q", "--host", host or self.host, "--time", time, str(saved))
        (made,) = self.ids - before
        return made

    @property
    def ids(self) -> set[str]:
        return set(self.restic("list", "snapshots", "--no-lock", "-q").split())

    @property
    def ages(self) -> list[int]:
        """The days of age of its snapshots, the oldest first."""
        found = json.loads(self.restic("snapshots", "--json", "--no-lock"))
        return [round((NOW - datetime.fromisoformat(one["time"])) / timedelta(days=1)) for one in found]

    def whole(self) -> bool:
        return "no errors were found" in self.restic("check", "--read-data")


def fill(fleet: Fleet, folder: Path, host: str) -> Kept:
    """Make a host's repository, with a snapshot of each of the ages."""
    kept = Kept(fleet, folder / host, host)
    empty_repository(kept.folder, password_of(fleet, host, None)[1].reveal())
    for age in DAYS:
        kept.add(timedelta(days=age))
    return kept
