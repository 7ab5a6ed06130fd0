"""Which of the files that rackwright writes a colleague would not get from git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rackwright.state.checkout import uncommitted
from tests.fleet.fleets import make_fleet

GIT = ("git", "-c", "user.name=anna", "-c", "user.email=anna@acme.internal")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "inventory"
    made.mkdir()
    for name in ("my site.yml", "my site.lock", "my site.keys.yml", "my site.ca.crt", "site.lock"):
        (made / name).write_text("1")
    return made


def git(folder: Path, *words: str) -> None:
    subprocess.run([*GIT, *words], cwd=folder, check=True, capture_output=True)


def names(folder: Path) -> list[str]:
    return [path.name for path in uncommitted(make_fleet(folder / "my site.yml"))]


def test_without_git_there_is_nothing_to_commit(folder: Path) -> None:
    assert names(folder) == []


def test_new_and_changed_ones_are_named_and_ignored_ones_are_not(folder: Path) -> None:
    git(folder.parent, "init", "-q")
    assert names(folder) == ["my site.lock", "my site.keys.yml", "my site.ca.crt"]
    git(folder, "add", "my site.lock", "my site.keys.yml")
    assert names(folder) == ["my site.lock", "my site.keys.yml", "my site.ca.crt"]
    git(folder, "commit", "-qm", "first")
    assert names(folder) == ["my site.ca.crt"]
    (folder / "my site.keys.yml").write_text("2")
    (folder / ".gitignore").write_text("*.crt\n")
    assert names(folder) == ["my site.keys.yml"]


def test_a_fleet_without_such_files_has_nothing_to_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "other").write_text("1")
    assert uncommitted(make_fleet(tmp_path / "site.yml")) == ()
