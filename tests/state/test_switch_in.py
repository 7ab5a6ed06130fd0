"""Restored state takes its place: real scripts, in folders."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.state.lease import Owner
from rackwright.state.store import FileStore
from rackwright.state.switch_in import (
    LEASES_SINCE,
    changed_since,
    merge_audit,
    merge_control,
    revert,
    settle,
    switch_in,
)
from tests.shells import FolderShell

OWNER = Owner(who="ada", machine="vm", why="restore", run="r1")


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


@pytest.mark.parametrize(
    "restored", ["", "x\n", "-5\n", "99999999999\n", "999999999999999\n", "010\n", "1; reboot\n"]
)
def test_a_token_that_is_no_number_raises_nothing(host: FolderShell, tmp_path: Path, restored: str) -> None:
    put(tmp_path, {"host/control/token": "2000007\n", "restored/token": restored})
    merge_control(host, str(tmp_path / "restored"))
    assert files(tmp_path / "host/control")["token"] == "2000007\n"


def switched(host: FolderShell, tmp_path: Path) -> None:
    switch_in(host, str(tmp_path / "next"), str(tmp_path / "before"), ["golden", "bench", "drains"])


def test_what_is_switched_in_can_be_revert_once(host: FolderShell, tmp_path: Path) -> None:
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


def test_a_token_that_a_restore_raised_is_still_one_that_leases_allow(host: FolderShell, tmp_path: Path) -> None:
    put(tmp_path, {"restored/token": "9999999999\n"})
    merge_control(host, str(tmp_path / "restored"))
    store = FileStore(host, folder=str(tmp_path / "host/control"))
    assert store.acquire(OWNER).token == 9_999_999_999 + LEASES_SINCE + 1


def test_a_journal_is_closed_together_with_its_merge(host: FolderShell, tmp_path: Path) -> None:
    put(tmp_path, {"restored/journal": "opened\n", "host/control/journal": "b\n"})
    merge_control(host, str(tmp_path / "restored"), closing="closed\n")
    assert files(tmp_path / "host/control")["journal"] == "opened\nb\nclosed\n"


def test_a_host_without_the_group_adm_gets_its_audit_log(
    host: FolderShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, monkeypatch, "chown", "echo no such group >&2; exit 1")
    put(tmp_path, {"restored.log": "a\n", "host/audit.log": "c\n"})
    merge_audit(host, str(tmp_path / "restored.log"))
    assert files(tmp_path / "host") == {"audit.log": "a\nc\n"}
    assert (tmp_path / "host/audit.log").stat().st_mode & 0o777 == 0o640


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
    (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")


OLD = {"golden/a": "old", "golden/mine": "mine", "drains/x": "stays"}
NEW = {"golden/a": "new", "golden/mine": "mine", "bench/b": "new"}
AFTER = {**NEW, "drains/x": "stays"}


@pytest.mark.parametrize("since", [None, "golden", "bench"])
@pytest.mark.parametrize("killed_at", range(9))
def test_a_switch_that_is_killed_at_any_change_loses_nothing(
    host: FolderShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int, since: str | None
) -> None:
    restore, before = tmp_path / "restores/one", tmp_path / "restores/one/before"
    put(tmp_path / "host", OLD)
    put(restore / "next", NEW)
    for name in ("mv", "rm", "stat"):
        text = f'n=$(cat {tmp_path}/n 2>/dev/null || echo 0); echo $((n + 1)) >{tmp_path}/n; [ "$n" != {killed_at} ] '
        program(tmp_path, monkeypatch, name, f'{text} || {{ kill -9 $PPID; exit 9; }}\nexec /bin/{name} "$@"')
    with contextlib.suppress(HostError):
        switch_in(host, str(restore / "next"), str(before), ["golden", "bench"])
    monkeypatch.undo()
    if since:
        # Somebody writes a file before anybody notices.
        put(tmp_path / "host", {f"{since}/since": "x"})
    written = {f"{since}/since": "x"} if since else {}
    settle(host, str(tmp_path / "restores"), going_on=str(before))
    here = files(tmp_path / "host")
    assert {"golden/mine", "drains/x", *written} <= here.keys(), "no part is missing"
    # The same restore combines its files with what is there, and goes on.
    put(restore / "next", {**{name: text for name, text in here.items() if "drains" not in name}, **NEW})
    switch_in(host, str(restore / "next"), str(before), ["golden", "bench"])
    assert files(tmp_path / "host") == AFTER | written
    settle(host, str(tmp_path / "restores"))
    revert(host, str(tmp_path / "restores/before"), str(tmp_path / "restores/undone"))
    back = {name: text for name, text in files(tmp_path / "host").items() if not name.endswith("since")}
    assert back == OLD


def test_a_killed_restore_can_be_undone(host: FolderShell, tmp_path: Path) -> None:
    put(tmp_path / "host", OLD)
    put(tmp_path / "restores/before", {"golden/a": "of an earlier restore"})
    put(tmp_path / "restores/one/next", NEW)
    switch_in(host, f"{tmp_path}/restores/one/next", f"{tmp_path}/restores/one/before", ["golden"])
    settle(host, str(tmp_path / "restores"))
    assert revert(host, f"{tmp_path}/restores/before", f"{tmp_path}/restores/undone") == ["golden"]
    assert files(tmp_path / "host") == OLD


@pytest.mark.parametrize("killed_at", range(4))
def test_an_undo_that_is_killed_is_completed_by_the_next_one(
    host: FolderShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    put(tmp_path / "host", {"golden/a": "new", "bench/b": "new"})
    put(tmp_path, {"before/golden/a": "old", "before/bench.absent": ""})
    text = f'n=$(cat {tmp_path}/n 2>/dev/null || echo 0); echo $((n + 1)) >{tmp_path}/n; [ "$n" != {killed_at} ] '
    for name in ("mv", "rm"):
        program(tmp_path, monkeypatch, name, f'{text} || {{ kill -9 $PPID; exit 9; }}\nexec /bin/{name} "$@"')
    with contextlib.suppress(HostError):
        revert(host, str(tmp_path / "before"), str(tmp_path / "undone"))
    monkeypatch.undo()
    if not (tmp_path / "host/golden").exists():
        put(tmp_path, {"host/golden/since": "x"})
    with contextlib.suppress(HostError):
        revert(host, str(tmp_path / "before"), str(tmp_path / "undone"))
    assert files(tmp_path / "host") == {"golden/a": "old"}
    assert files(tmp_path / "undone")["golden/a"] == "new"


def test_what_changed_since_a_restore_is_told_before_an_undo(host: FolderShell, tmp_path: Path) -> None:
    put(tmp_path / "host", {"golden/a": "old", "drains/x": "old"})
    put(tmp_path / "next", {"golden/a": "new", "drains/x": "new"})
    switch_in(host, str(tmp_path / "next"), str(tmp_path / "before"), ["golden", "drains"])
    for path in (tmp_path / "host").rglob("*"):
        os.utime(path, (1, 1))
    assert changed_since(host, str(tmp_path / "before")) == []
    put(tmp_path / "host", {"drains/y": "since"})
    assert changed_since(host, str(tmp_path / "before")) == ["drains: 1 files"]
    assert changed_since(host, str(tmp_path / "none")) == []


def test_a_restore_that_is_cut_off_again_and_again_can_go_on(host: FolderShell, tmp_path: Path) -> None:
    put(tmp_path / "host", {"golden/a": "old"})
    for number in range(4):
        put(tmp_path / "next", {"golden/a": f"new {number}"})
        switched(host, tmp_path)
    assert files(tmp_path / "host") == {"golden/a": "new 3"}
    assert files(tmp_path / "before") == {"golden/a": "old", "golden.between/a": "new 2"}
