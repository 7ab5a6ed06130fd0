"""Signers with real SSH keys, and a folder for reports."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rackwright.cli.render.drill_pages import drill_pages
from rackwright.fleet.public_key import parse_public_key
from rackwright.lifecycle.drill.evidence.chain import Chain, examine
from rackwright.lifecycle.drill.evidence.facts import Facts
from rackwright.lifecycle.drill.evidence.folder import log_path
from rackwright.lifecycle.drill.evidence.seal import Sealed, seal
from rackwright.lifecycle.drill.evidence.signature import SigningKey
from rackwright.lifecycle.drill.evidence.signers import BY_HAND, Signer
from tests.lifecycle.drill.passing import FIRST, SECOND, THIRD, passing

PEOPLE = ("anna", "ben", "mallory")


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> Path:
    """A folder with each person's key: NAME and NAME.pub."""
    folder = tmp_path_factory.mktemp("keys")
    for name in PEOPLE:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True
        )
    return folder


@dataclass(frozen=True)
class Office:
    """A folder of reports, and those who may sign: anna and ben."""

    folder: Path
    keys: Path

    def signer(self, name: str) -> Signer:
        key = parse_public_key((self.keys / f"{name}.pub").read_text().strip())
        return Signer(name, replace(key, comment=BY_HAND))

    @property
    def signers(self) -> tuple[Signer, ...]:
        return (self.signer("anna"), self.signer("ben"))

    def key(self, name: str = "anna") -> SigningKey:
        return SigningKey(name, self.signer(name).key, self.keys / name)

    def seal(self, facts: Facts, name: str = "anna", log: str | None = None) -> Sealed:
        if log is not None:
            self.folder.mkdir(exist_ok=True)
            log_path(self.folder, facts.drill).write_text(log)
        return seal(self.folder, facts, self.key(name), self.signers, drill_pages)

    def seal_three(self) -> list[Sealed]:
        return [self.seal(passing(drill=drill), log="what the drill said\n") for drill in (FIRST, SECOND, THIRD)]

    def examine(self, upto: str | None = None) -> Chain:
        return examine(self.folder, self.signers, drill_pages, upto=upto)

    def problems(self) -> list[str]:
        """Return everything that is wrong with the folder."""
        chain = self.examine()
        reviews = [one.problem for report in chain.examined for one in report.reviews if one.problem]
        found = [*(problem for one in chain.examined for problem in one.problems), *chain.problems, *reviews]
        assert chain.sound is not bool(found)
        return found


@pytest.fixture
def office(tmp_path, keys) -> Office:
    return Office(tmp_path / "acme.drills", keys)
