"""Restored state takes its place: real scripts, in folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.state.switch_in import LEASES_SINCE, merge_audit, merge_control, revert, switch_in
from tests.shells import FolderShell


@pytest.fixture
def host(tmp_path: Path) -> FolderShell:
    (tmp_path / "host").mkdir()
    return FolderShell(name="gate1", var=str(tmp_path / "host"))


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("lock"))
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


@pytest.mark.parametrize(
    ("restored", "here", "after"),
    [
        ("a\nb\n", "", "a\nb\n"),
        ("a\nb\n", "c\n", "a\nb\nc\n"),
        ("a\nb\n", "a\nb\nc\n", "a\nb\nc\n"),
        ("a\nb", "c", "a\nb\nc\n"),
        ("", "c\n", "c\n"),
    ],
)
def test_the_lines_of_both_audit_logs_are_kept(
    host: FolderShell, tmp_path: Path, restored: str, here: str, after: str
) -> None:
    put(tmp_path, {"restored.log": restored, "host/audit.log": here})
    for _ in range(2):
        merge_audit(host, str(tmp_path / "restored.log"))
        assert files(tmp_path / "host") == {"audit.log": after}


def test_an_audit_log_keeps_its_file_because_other_writers_wait_for_it(host: FolderShell, tmp_path: Path) -> None:
    put(tmp_path, {"restored.log": "a\n", "host/audit.log": "c\n"})
    with (tmp_path / "host/audit.log").open("a") as other:
        merge_audit(host, str(tmp_path / "restored.log"))
        other.write("d\n")
    assert (tmp_path / "host/audit.log").read_text() == "a\nc\nd\n"


def test_a_merge_of_audit_logs_that_was_cut_off_is_completed(host: FolderShell, tmp_path: Path) -> None:
    put(tmp_path, {"restored.log": "a\n", "host/audit.log": "", "host/audit.log.restored": "a\nb\nc\n"})
    merge_audit(host, str(tmp_path / "restored.log"))
    assert files(tmp_path / "host") == {"audit.log": "a\nb\nc\n"}


def test_journals_are_merged_tokens_grow_and_the_lease_stays(host: FolderShell, tmp_path: Path) -> None:
    put(tmp_path / "host/control", {"journal": "c\n", "token": "3\n", "lease": "mine", "rollout-1.json": "here"})
    old = {"journal": "a\nb\n", "token": "41\n", "lease": "old", "rollout-1.json": "old", "trial-1.json": "old"}
    put(tmp_path / "restored", old)
    for _ in range(2):
        merge_control(host, str(tmp_path / "restored"))
    assert files(tmp_path / "host/control") == {
        "journal": "a\nb\nc\n",
        "token": f"{41 + LEASES_SINCE}\n",
        "lease": "mine",
        "rollout-1.json": "here",
        "trial-1.json": "old",
    }


@pytest.mark.parametrize("restored", ["", "x\n", "-5\n", "999999999999999\n", "1; reboot\n"])
def test_a_token_that_is_no_number_raises_nothing(host: FolderShell, tmp_path: Path, restored: str) -> None:
    put(tmp_path, {"host/control/token": "2000007\n", "restored/token": restored})
    merge_control(host, str(tmp_path / "restored"))
    assert files(tmp_path / "host/control")["token"] == "2000007\n"


def switched(host: FolderShell, tmp_path: Path) -> None:
    switch_in(host, str(tmp_path / "next"), str(tmp_path / "before"), ["golden", "bench", "drains"])


def test_what_is_switched_in_can_be_reverted_once(host: FolderShell, tmp_path: Path) -> None:
    put(tmp_path / "host", {"golden/a": "old", "drains/x": "stays"})
    put(tmp_path / "next", {"golden/a": "new", "bench/b": "new"})
    for _ in range(2):
        switched(host, tmp_path)
        assert files(tmp_path / "host") == {"golden/a": "new", "bench/b": "new", "drains/x": "stays"}
    assert sorted(revert(host, str(tmp_path / "before"), str(tmp_path / "undone"))) == ["bench", "golden"]
    assert files(tmp_path / "host") == {"golden/a": "old", "drains/x": "stays"}
    assert files(tmp_path / "undone") == {"golden/a": "new", "bench/b": "new"}
    with pytest.raises(HostError, match="no restore to undo"):
        revert(host, str(tmp_path / "before"), str(tmp_path / "undone"))


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_switch_that_was_cut_off_between_any_two_renames_is_completed(
    host: FolderShell, tmp_path: Path, done: int
) -> None:
    put(tmp_path / "host", {"golden/a": "old"})
    put(tmp_path / "next", {"golden/a": "new", "bench/b": "new"})
    (tmp_path / "before").mkdir()
    if done >= 1:
        (tmp_path / "host/golden").rename(tmp_path / "before/golden")
    if done >= 2:
        (tmp_path / "next/golden").rename(tmp_path / "host/golden")
    switched(host, tmp_path)
    assert files(tmp_path / "host") == {"golden/a": "new", "bench/b": "new"}
    assert files(tmp_path / "before")["golden/a"] == "old"


def test_what_was_written_between_two_tries_is_kept(host: FolderShell, tmp_path: Path) -> None:
    put(tmp_path, {"before/golden/a": "old", "host/golden/c": "since", "next/golden/a": "new"})
    switched(host, tmp_path)
    assert files(tmp_path / "host") == {"golden/a": "new"}
    assert files(tmp_path / "before") == {"golden/a": "old", "golden.between/c": "since"}
    revert(host, str(tmp_path / "before"), str(tmp_path / "undone"))
    assert files(tmp_path / "host") == {"golden/a": "old"}
