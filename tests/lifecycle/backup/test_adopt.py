"""A host's scripts and real restic on this machine: what is adopted, and that it must be confirmed first."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.backup.adopt import adopt, adopt_repository
from rackwright.lifecycle.session.session import Session
from rackwright.remote.completed import Completed
from rackwright.remote.local import LocalTransport
from rackwright.roles.backup.settings import Repository
from rackwright.roles.backup.state import COMMAND, FoundRepository, RepositoryState, parse
from tests.lifecycle.backup.answering import Answering
from tests.roles.test_backup import SETTINGS
from tests.roles.test_backup_history import Host

PLACES = (("gate1", "disk"),)


@dataclass
class Reached(Host):
    """That host, as a session reaches it."""

    folder: Path
    name: str = "gate1"
    broken: set[str] = field(default_factory=set)
    """Parts of commands that fail."""

    def __post_init__(self) -> None:
        Host.__init__(self, self.folder)
        (self.folder / "restic.sh").write_text(f'#!/bin/sh\nshift\n. {self.folder}/disk.values\ntalk "$@"\n')
        (self.folder / "restic.sh").chmod(0o755)

    def run_command(self, command: str, *, stdin: str | None = None, timeout: float | None = 60) -> Completed:
        if any(part in command for part in self.broken):
            return Completed(1, b"", b"it broke")
        for place in ("/etc/rackwright/backup", "/var/lib/rackwright/backup", "/var/lib/rackwright"):
            command = command.replace(place, str(self.folder))
        exported = "".join(f"export {key}='{self.environment[key]}'; " for key in PLACES_OF_UNITS)
        given = [stdin.encode()] if stdin else []
        return LocalTransport(self.name).execute(exported + command, given, timeout=timeout, limit=10**7)

    @property
    def shell(self) -> Any:
        return SimpleNamespace(name=self.name, run=self.run_command)

    @property
    def session(self) -> Session:
        settings = SETTINGS.model_copy(
            update={"repositories": (Repository(name="disk", url=f"{self.folder}/repository"),)}
        )
        remote = SimpleNamespace(
            connection=lambda _: self.shell, each=lambda names, work: {name: work(name) for name in names}
        )
        return cast(
            Session,
            SimpleNamespace(
                hosts={"gate1": SimpleNamespace(backup=settings)},
                remote=remote,
                operator=SimpleNamespace(who="anna"),
            ),
        )

    @property
    def state(self) -> RepositoryState:
        return parse(self.run_command(COMMAND).stdout).repositories["disk"]

    @property
    def audited(self) -> list[tuple[str, str]]:
        lines = (self.folder / "audit.log").read_text().splitlines() if (self.folder / "audit.log").exists() else []
        return [(act["what"], act["outcome"]) for act in map(json.loads, lines)]


PLACES_OF_UNITS = ("RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY", "CACHE_DIRECTORY")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A repository with one snapshot, which tests copy, and its id."""
    host = Host(tmp_path_factory.mktemp("first"))
    host.make_repository()
    return host.folder / "repository", host.play()["repository"]


@pytest.fixture
def host(tmp_path: Path, repository: tuple[Path, str]) -> Reached:
    """A host that knows nothing of its repository."""
    made = Reached(tmp_path)
    shutil.copytree(repository[0], tmp_path / "repository")
    return made


@pytest.fixture
def id(repository: tuple[Path, str]) -> str:
    return repository[1]


def knows(host: Reached, id: str) -> None:
    """Have the host know this repository as its own."""
    (host.folder / "disk.json").write_text(
        f'{{"format": "backup/1",\n "repository": "{id}",\n "snapshot": "f00"\n}}\n'
    )


def test_an_earlier_hosts_repository_is_shown_confirmed_adopted_and_audited(host: Reached, id: str) -> None:
    refused = host.play()
    assert (host.state.found or FoundRepository("")).snapshots == 1
    asked = Answering()
    (adopted,) = adopt(host.session, PLACES, asked)
    time = refused["newest"].partition(".")[0]
    assert asked.said == [
        f"gate1 to disk: repository {id[:10]} with 1 snapshot, the newest of {time}Z by root@gate1; "
        "it has used none yet"
    ]
    assert asked.asked == ["Adopt 1 repository?"]
    assert (adopted.id, adopted.instead_of, host.state.id, host.state.failures) == (id, None, id, ())
    assert host.audited == [(f"adopted repository {id} at disk instead of none", "done")]
    assert host.play().get("run_failed") is None


def test_nothing_is_adopted_without_a_yes(host: Reached) -> None:
    with pytest.raises(RackwrightError, match="not confirmed"):
        adopt(host.session, PLACES, Answering(agrees=False))
    assert not (host.folder / "disk.json").exists()
    assert host.audited == []


def test_where_nothing_is_to_be_adopted_nothing_is_asked(host: Reached, id: str) -> None:
    knows(host, id)
    asked = Answering()
    assert adopt(host.session, PLACES, asked) == ()
    assert asked.asked == []
    assert asked.said == ["nothing to adopt: each host uses the repository that is there"]
    assert host.state.snapshot == "f00"


def test_another_repository_is_shown_with_both_ids(host: Reached, id: str) -> None:
    knows(host, "c" * 64)
    asked = Answering()
    adopt(host.session, PLACES, asked)
    assert asked.said[0].startswith(f"gate1 to disk: repository {id[:10]} with 1 snapshot, the newest of ")
    assert asked.said[0].endswith("; it has used cccccccccc")
    assert (host.state.id, host.state.snapshot) == (id, None)


def test_a_repository_that_was_removed_on_purpose_is_made_again(host: Reached, id: str) -> None:
    knows(host, id)
    shutil.rmtree(host.folder / "repository")
    assert host.play()["run_failed"] == "the repository is gone; no new one is created"
    asked = Answering()
    adopt(host.session, PLACES, asked)
    assert asked.said == [f"gate1 to disk: no repository, a new one is made; it has used {id[:10]}"]
    assert host.play().get("run_failed") is None
    assert host.state.id not in (None, id)


@pytest.mark.parametrize("broken", ["cat config", "snapshots --json", "adopt.sh"])
def test_what_can_not_be_asked_or_recorded_is_not_adopted(host: Reached, broken: str) -> None:
    host.broken = {broken}
    with pytest.raises(HostError, match="it broke"):
        adopt(host.session, PLACES, Answering())
    assert not (host.folder / "disk.json").exists()
    host.broken = set()
    assert [outcome[:6] for _, outcome in host.audited] == (["failed"] if broken == "adopt.sh" else [])


def test_a_restore_records_it_and_a_second_time_changes_nothing(host: Reached, id: str) -> None:
    adopt_repository(host.shell, "disk", id)
    assert (host.state.id, host.state.snapshot) == (id, None)
    knows(host, id)
    adopt_repository(host.shell, "disk", id)
    assert (host.state.id, host.state.snapshot) == (id, "f00")
    with pytest.raises(HostError, match="this host uses "):
        adopt_repository(host.shell, "disk", "f" * 64)
