"""What git finds in a kit: its history, but no program of whoever wrote to the repository. git is real."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import ProofError
from rackwright.lifecycle.restore.kit_files import disarm_git
from tests.lifecycle.restore.kit_vault import git

URL = "https://git.acme.internal/fleet.git"


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A kit with a git repository that has a remote and a commit."""
    fleet = tmp_path / "kit" / "fleet"
    (fleet / "sites").mkdir(parents=True)
    (fleet / "sites" / "acme.yml").write_text("fleet: acme\n")
    git(fleet, "init", "-q")
    git(fleet, "add", "-A")
    git(fleet, "commit", "-qm", "first")
    git(fleet, "remote", "add", "origin", URL)
    git(fleet, "config", "branch.main.remote", "origin")
    git(fleet, "config", "user.name", "Anna Ö.")
    return tmp_path / "kit"


def test_history_remotes_and_names_stay(kit: Path) -> None:
    before = git(kit / "fleet", "config", "--local", "--list")
    disarm_git(kit)
    assert git(kit / "fleet", "config", "--local", "--list") == before
    assert git(kit / "fleet", "log", "--format=%s") == "first\n"
    assert git(kit / "fleet", "status", "--porcelain") == ""


def test_no_hook_and_no_setting_runs_a_program(kit: Path, tmp_path: Path) -> None:
    marker, fleet = tmp_path / "ran", kit / "fleet"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "core.sshCommand", "filter.x.clean", "credential.helper", "alias.st"):
        git(fleet, "config", key, str(program))
    git(fleet, "config", "remote.evil.url", f"ext::{program}")
    with (fleet / ".git/config").open("a") as settings:
        settings.write("[include]\n\tpath = /nowhere\n[core]\n\tworktree = /etc\n")
    (fleet / ".gitattributes").write_text("* filter=x\n")
    for name in ("post-checkout", "post-index-change", "pre-commit"):
        (fleet / ".git/hooks" / name).write_bytes(program.read_bytes())
        (fleet / ".git/hooks" / name).chmod(0o755)
    (fleet / ".git/modules/x").mkdir(parents=True)
    disarm_git(kit)
    kept = git(fleet, "config", "--local", "--list")
    assert str(program) not in kept
    assert "evil" not in kept
    assert "worktree" not in kept
    assert f"remote.origin.url={URL}\n" in kept
    assert not (fleet / ".git/hooks").exists()
    assert not (fleet / ".git/modules").exists()
    (fleet / "sites/acme.yml").touch()
    git(fleet, "status")
    git(fleet, "add", "-A")
    git(fleet, "commit", "-qm", "second")
    assert not marker.exists()


def test_other_repositories_are_removed_or_refused(kit: Path, tmp_path: Path) -> None:
    git(kit / "fleet" / "sites", "init", "-q")
    (kit / "elsewhere").mkdir()
    (kit / "elsewhere" / ".git").write_text(f"gitdir: {tmp_path}\n")
    disarm_git(kit)
    assert not (kit / "fleet/sites/.git").exists()
    assert not (kit / "elsewhere/.git").exists()
    assert git(kit / "fleet/sites", "log", "--format=%s") == "first\n"
    git(kit / "fleet", "init", "-q", "--bare", "sites/bare")
    with pytest.raises(ProofError, match="fleet/sites/bare looks like a git repository"):
        disarm_git(kit)


def test_links_in_place_of_the_repository_or_its_parts_are_removed(kit: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    (kit / "fleet/.git/config").rename(away)
    (kit / "fleet/.git/config").symlink_to(away)
    before = away.read_text()
    disarm_git(kit)
    assert not (kit / "fleet/.git/config").is_symlink()
    assert away.read_text() == before
    (kit / "fleet/.git").rename(tmp_path / "moved")
    (kit / "fleet/.git").symlink_to(tmp_path / "moved")
    disarm_git(kit)
    assert not (kit / "fleet/.git").is_symlink()
    assert (tmp_path / "moved/HEAD").exists()
