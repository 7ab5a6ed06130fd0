"""A kit's repository in a folder, with kits that a test describes. restic is real, its key costs no time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.fleet.ca import CertificateAuthority, key_folder
from rackwright.fleet.x509 import load_key, new_key, self_signed
from rackwright.lifecycle.backup.kit_content import CA_KEY, REFERENCES
from rackwright.lifecycle.backup.kit_repository import WITH_CA_KEY
from rackwright.lifecycle.backup.restic_here import restic_here
from rackwright.lifecycle.restore.fetch_kit import FetchedKit, KitPlace, fetch_kit, kit_at
from rackwright.state.kit import KitContents
from rackwright.values.secrets import Secret
from tests.cheap_key import empty_repository
from tests.fleet.test_load import GOOD
from tests.lifecycle.world.session import Quiet

PASSWORD = "correct horse battery staple"
NOW = datetime.now(UTC)
GIT = ("git", "-c", "user.name=anna", "-c", "user.email=anna@acme.internal", "-c", "init.defaultBranch=main")


@dataclass
class Operator(Quiet):
    """A console whose operator agrees, or not."""

    agrees: bool = True
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    heard_fetching: Callable[[], object] | None = None

    def say(self, text: str) -> None:
        self.said.append(text)
        if self.heard_fetching and text.startswith("fetching"):
            hook, self.heard_fetching = self.heard_fetching, None
            hook()

    def confirm(self, question: str, *, refusal: object = None) -> None:
        self.asked.append(question)
        if not self.agrees:
            raise RackwrightError("not confirmed, nothing was changed")


@dataclass
class Vault:
    folder: Path
    """The repository."""
    work: Path
    console: Operator = field(default_factory=Operator)
    ca_key: Secret = field(default_factory=new_key)

    @property
    def key_file(self) -> Path:
        """Where its CA's key belongs on this machine."""
        return CertificateAuthority("acme", self.work, key_folder("acme")).file_of(self.certificate)

    @property
    def place(self) -> KitPlace:
        return kit_at(str(self.folder), Secret(PASSWORD))

    @cached_property
    def certificate(self) -> str:
        return self_signed(load_key(self.ca_key), "acme", NOW)

    def restic(self, *words: str, folder: Path | None = None) -> str:
        with restic_here(self.place.repository, self.place.access) as restic:
            return restic(*words, folder=folder).check(" ".join(words)).stdout

    def staged(self, others: Mapping[str, str] | None = None, *, key: str | None = "", **contents: object) -> Path:
        """Return the folder of a new kit, as rackwright assembles it. `key`: its CA key; None: it has none."""
        shutil.rmtree(self.work, ignore_errors=True)
        text = None if key is None else key or self.ca_key.reveal()
        every = {"fleet/acme.yml": GOOD, "fleet/acme.ca.crt": self.certificate, **(others or {})}
        every |= {CA_KEY: text} if text else {}
        for name, content in every.items():
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_text(content)
        fields = {"fleet": "acme", "fleet_file": "fleet/acme.yml", "who": "anna", "when": NOW, "rackwright": "1"}
        fields |= {"with_ca_key": text is not None, "files": len(every), **contents}
        (self.work / REFERENCES).write_text(KitContents.model_validate(fields).model_dump_json())
        return self.work

    def save(self, *words: str, key: bool = True) -> str:
        """Save the staged folder; return the snapshot's ID."""
        before = self.snapshots()
        tags = ("--tag", WITH_CA_KEY) if key else ()
        self.restic("backup", "-q", "--host", "kit", "--tag", "rackwright", *tags, *words, ".", folder=self.work)
        (made,) = self.snapshots() - before
        return made

    def snapshots(self) -> set[str]:
        return {path.name for path in (self.folder / "snapshots").iterdir()}

    def saved(self, others: Mapping[str, str] | None = None, *, key: str | None = "", **contents: object) -> str:
        self.staged(others, key=key, **contents)
        return self.save(key=key is not None)

    def packs(self) -> set[Path]:
        return {path for path in (self.folder / "data").rglob("*") if path.is_file()}

    def fetch(self, into: Path, console: Operator | None = None) -> FetchedKit:
        return fetch_kit(self.place, into, console or self.console)


def new_vault(folder: Path) -> Vault:
    made = Vault(folder / "rest" / "kit", folder / "staged")
    empty_repository(made.folder, PASSWORD)
    return made


def git(folder: Path, *words: str) -> str:
    done = subprocess.run([*GIT, *words], cwd=folder, check=True, capture_output=True, text=True, env={**os.environ})
    return done.stdout
