"""A fleet in git with one append-only rest repository on loopback, and its control host, a folder."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rackwright.fleet.backup_access import reached_from_here
from rackwright.fleet.ca import ca_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.lifecycle.backup.kit import Kits, save_kits
from rackwright.lifecycle.backup.restic_here import restic_here
from tests.cheap_key import empty_repository
from tests.fleet.test_load import GOOD
from tests.lifecycle.world.session import Quiet
from tests.rest_server import RestServer, login_of
from tests.shells import FolderHosts, FolderShell

PASSWORD = "correct horse battery staple"
GIT = ("git", "-c", "user.name=anna", "-c", "user.email=anna@acme.internal", "-c", "init.defaultBranch=main")


class Said(Quiet):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@dataclass
class Site:
    folder: Path
    server: RestServer
    host: FolderShell
    said: Said = field(default_factory=Said)

    @property
    def path(self) -> Path:
        return self.folder / "sites" / "acme.yml"

    @property
    def fleet(self) -> Fleet:
        return load_fleet(self.path)

    @property
    def ca_key(self) -> Path:
        path = ca_of(self.fleet).key_file
        assert path
        return path

    @property
    def hosts(self) -> FolderHosts:
        return FolderHosts({"gate1": self.host})

    def make_repository(self) -> None:
        """Leave the kit's repository at the server, without a kit."""
        _, access = reached_from_here(self.fleet, "kit", "web")
        empty_repository(self.server.folder / "kit", access.password.reveal())

    def git(self, *words: str) -> str:
        return subprocess.run([*GIT, *words], cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def save(self) -> Kits:
        return save_kits(self.fleet, self.hosts, ("web",), self.said)  # type: ignore[arg-type]

    def restic(self, *words: str) -> str:
        with restic_here(*reached_from_here(self.fleet, "kit", "web")) as restic:
            return restic(*words).check(" ".join(words)).stdout

    def listed(self, snapshot: str = "latest") -> list[str]:
        return self.restic("ls", snapshot).splitlines()[1:]

    def snapshots(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.restic("snapshots", "--json"))
        return found

    def problem(self) -> str:
        """Save, and return the one problem."""
        error = self.save().error
        assert error is not None
        (problem,) = error.problems
        return f"{problem.where}: {problem.what}"


def make_site(folder: Path, server: RestServer, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return a fleet in the git repository acme/, with its secrets next to it, and with a CA."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    top = folder / "acme"
    (top / "sites" / "secrets").mkdir(parents=True)
    for name, text in (("password", PASSWORD), *((f"{host}.login", login_of(host)) for host in ("gate1", "kit"))):
        (top / "sites" / "secrets" / name).write_text(text)
    (top / "sites" / "vault.crt").write_text(server.ca)
    asked = f"name: web, url: '{server.url}', user: '{{host}}', append_only: yes, ca: vault.crt"
    secrets = "password: 'file:secrets/password', login: 'file:secrets/{host}.login'"
    (top / "sites" / "acme.yml").write_text(f"{GOOD}backup: {{to: [{{{asked}, {secrets}}}]}}\n")
    (top / "README").write_text("ours")
    var = folder / "gate1"
    var.mkdir()
    site = Site(top, server, FolderShell(var=str(var)))
    site.git("init", "-q")
    (top / ".gitignore").write_text("*.ignored\n")
    (top / "notes.ignored").write_text("not ours")
    site.git("add", "README", ".gitignore", "sites/acme.yml", "sites/vault.crt")
    site.git("commit", "-qm", "first")
    ca_of(site.fleet).issue(("gate1",), client=False, days=1)
    assert site.ca_key.exists()
    return site
