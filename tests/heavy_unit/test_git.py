"""What git says about a change, and that the unknown is never taken for "nothing changed"."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.heavy.need import git
from tests.heavy.need.record import RECORD


def tell(root: Path, *words: str) -> str:
    said = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "protocol.file.allow=always"]
    return subprocess.run(["git", *said, *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def committed(root: Path, **files: str) -> str:
    for name, text in files.items():
        write(root / name, text)
    tell(root, "add", "--all")
    tell(root, "commit", "--quiet", "--allow-empty", "--message", "test")
    return tell(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    tell(folder, "init", "--quiet", "--initial-branch", "main")
    committed(folder, first="one", moved="the same", gone="soon", Makefile="test-heavy:\n\trun\nother:\n\tthing\n")
    return folder


def test_a_change_is_what_was_committed_and_what_was_not(root: Path):
    base = tell(root, "rev-parse", "HEAD")
    committed(root, second="two")
    write(root / "first", "other")
    write(root / "new folder/ü", "untracked")
    tell(root, "mv", "moved", "elsewhere")
    (root / "gone").unlink()
    expected = {"first", "second", "new folder/ü", "moved", "elsewhere", "gone"}
    assert git.changed_since(base, root) == expected


def test_what_a_shallow_clone_lacks_is_not_known(root: Path, tmp_path: Path):
    base = tell(root, "rev-parse", "HEAD")
    committed(root, second="two")
    tell(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{root}", "shallow")
    assert git.changed_since(base, root) == {"second"}
    assert git.changed_since(base, tmp_path / "shallow") is None


def test_a_commit_of_another_branch_is_no_base(root: Path):
    tell(root, "switch", "--quiet", "--create", "other")
    other = committed(root, second="two")
    tell(root, "switch", "--quiet", "main")
    assert git.commit(other, root) is None
    assert git.changed_since(other, root) is None


def test_without_a_repository_nothing_is_known(root: Path):
    base = tell(root, "rev-parse", "HEAD")
    shutil.rmtree(root / ".git")
    assert git.changed_since(base, root) is None
    assert git.commits_since(base, root) is None


def test_a_folder_inside_another_repository_is_none_of_its_own(root: Path):
    committed(root)
    (root / "unpacked").mkdir()
    assert git.commit("HEAD", root / "unpacked") is None


def test_what_git_fails_to_list_is_not_known(root: Path):
    base = tell(root, "rev-parse", "HEAD")
    (root / ".git" / "index").write_bytes(b"damaged")
    assert git.commit(base, root) == base
    assert git.changed_since(base, root) is None


def test_only_a_changed_recipe_of_heavy_tests_counts(root: Path):
    base = tell(root, "rev-parse", "HEAD")
    write(root / "Makefile", "test-heavy:\n\trun\nother:\n\tanother thing\n")
    assert git.same_recipes(base, root)
    write(root / "Makefile", "test-heavy:\n\trun -k little\nother:\n\tthing\n")
    assert not git.same_recipes(base, root)


def test_head_is_dirty_where_more_than_the_record_changed(root: Path):
    at = committed(root, **{RECORD: "{}"})
    write(root / RECORD, "{ }")
    assert git.head(root) == at
    write(root / "first", "other")
    assert git.head(root) == f"{at}-dirty"


def test_commits_since_a_landing_are_counted_and_told_apart_from_those_before(root: Path):
    base = tell(root, "rev-parse", "HEAD")
    later = committed(root, second="two")
    assert git.commits_since(base, root) == 1
    assert git.follows(later, base, root)
    assert git.follows(base, base, root)
    assert not git.follows(base, later, root)
