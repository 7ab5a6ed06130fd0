"""The changes of API keys that a control host keeps: the real script, in a folder."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.fleet.hosts.backup import _EXCLUDED, _SAVED
from rackwright.fleet.keys_file import ApiKey, KeysFile
from rackwright.roles.gateway.settings import FOLDER as GATEWAY
from rackwright.state.api_keys.control_keys import keep_applied_keys, keep_keys
from rackwright.state.api_keys.pushed_keys import NEWS_COMMAND, PushedKey, parse_pushed
from rackwright.state.shell import FOLDER
from tests.shells import FolderShell
from tests.state.api_keys.test_pushed_keys import CI, EDITED, LATER, key, revoked, told

GONE = told(CI, revoked=True)


@pytest.fixture
def shell(tmp_path: Path) -> FolderShell:
    return FolderShell(var=str(tmp_path / "var"))


def kept(shell: FolderShell) -> set[PushedKey]:
    """Return what the command that every apply sends prints."""
    pushed = parse_pushed(shell.run(NEWS_COMMAND).check("reading").stdout, "gate1")
    assert len(pushed) == len({one.key.sha256 for one in pushed})
    return set(pushed)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (told(CI), told(EDITED), told(EDITED)),
        (told(EDITED), told(CI), told(EDITED)),
        (told(EDITED), GONE, GONE),
        (GONE, told(EDITED), GONE),
        (GONE, told(CI, revoked=True, when=LATER + timedelta(days=1)), GONE),
        (told(CI), told(key("ci", concurrency=9)), told(CI)),
    ],
    ids="edited edited-late revoked edited-after revoked-twice same-version".split(),
)
def test_the_newest_change_stays_and_a_tombstone_for_good(
    shell: FolderShell, first: PushedKey, second: PushedKey, expected: PushedKey
) -> None:
    keep_keys(shell, (told(key("other")), first))
    keep_keys(shell, (second,))
    assert kept(shell) == {told(key("other")), expected}
    assert len(Path(shell.var, "keys.pushed").read_text().splitlines()) == 2


def test_what_an_apply_has_brought_goes_and_its_tombstones_come(shell: FolderShell) -> None:
    new, old = told(EDITED), told(key("old"))
    keep_keys(shell, (new, old, told(key("lost"), revoked=True)))
    keep_applied_keys(shell, KeysFile(keys=(CI, key("old")), revoked=(revoked(key("gone")),)), who="anna@laptop")
    said = {(one.key.id, one.revoked, one.who) for one in kept(shell)}
    assert said == {
        ("ci", False, "ben@desk"),
        ("lost", True, "ben@desk"),
        ("gone", True, "an operator (applied by anna@laptop)"),
    }
    (gone,) = [one for one in kept(shell) if one.key.id == "gone"]
    assert gone.when == revoked(key("gone")).revoked
    keep_applied_keys(shell, KeysFile(keys=(EDITED, key("gone"))), who="ben@desk")
    assert {one.key.id for one in kept(shell)} == {"lost", "gone"}


def test_a_fleet_without_keys_stores_nothing(shell: FolderShell) -> None:
    keep_applied_keys(shell, KeysFile(), who="anna")
    assert shell.commands == []
    assert kept(shell) == set()


def test_commands_at_the_same_time_lose_none(shell: FolderShell) -> None:
    every = [told(key(f"key-{number}")) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: keep_keys(shell, (one,)), every))
    assert kept(shell) == set(every)


def test_a_full_disk_is_an_error_and_loses_nothing(shell: FolderShell, tmp_path: Path) -> None:
    keep_keys(shell, (GONE,))
    before = Path(shell.var, "keys.pushed").read_text()
    Path(shell.var, "keys.pushed.new").symlink_to("/dev/full")
    with pytest.raises(HostError, match="storing the change of the API key"):
        keep_keys(shell, (told(key("new")),))
    assert Path(shell.var, "keys.pushed").read_text() == before
    assert kept(shell) == {GONE}


def test_it_is_on_the_disk_before_it_replaces_the_former_one(
    shell: FolderShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, programs = tmp_path / "log", tmp_path / "bin"
    programs.mkdir()
    for name in ("flock", "sync", "mv"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{log}\nPATH=${{PATH#*:}} exec {name} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    keep_keys(shell, (GONE,))
    assert log.read_text().splitlines() == [
        "flock -w 20 8",
        "sync keys.pushed.new",
        "mv -fT keys.pushed.new keys.pushed",
        "sync .",
    ]


def test_only_root_reads_it(shell: FolderShell) -> None:
    keep_keys(shell, (GONE,))
    assert {path.stat().st_mode & 0o777 for path in Path(shell.var).iterdir()} == {0o600}


def test_a_command_that_can_not_read_it_fails(shell: FolderShell) -> None:
    Path(shell.var, "keys.pushed").mkdir(parents=True)
    assert not shell.run(NEWS_COMMAND).ok


def test_a_hosts_backup_has_it() -> None:
    path = Path(FOLDER, "keys.pushed")
    assert any(path.is_relative_to(source) for source in _SAVED)
    assert not any(path.match(pattern) for pattern in _EXCLUDED)


def test_an_at_sign_in_a_name_changes_nothing(shell: FolderShell) -> None:
    one = told(ApiKey.model_validate(CI.model_dump() | {"owner": "ops @ acme, a@b"}))
    keep_keys(shell, (one,))
    assert kept(shell) == {one}


def test_the_gateways_news_come_along(shell: FolderShell) -> None:
    keep_keys(shell, (GONE,))
    gateway = Path(shell.var, "gateway")
    gateway.mkdir()
    (gateway / "keys.applied").touch()
    new = told(key("new"))
    (gateway / "keys.pushed").write_text(f"{new.key.sha256} {new.key.version} @ {new.line}\n")
    assert kept(shell) == {GONE, new}
    assert GATEWAY in NEWS_COMMAND


def test_the_script_has_no_faults_that_shellcheck_finds(shell: FolderShell, tmp_path: Path) -> None:
    keep_keys(shell, (GONE,))
    (tmp_path / "script").write_text("#!/bin/sh\n" + shell.commands[-1])
    (tmp_path / "news").write_text("#!/bin/sh\n" + NEWS_COMMAND)
    done = subprocess.run(
        ["shellcheck", "-e", "SC2121", tmp_path / "script", tmp_path / "news"], capture_output=True, text=True
    )
    assert done.stdout == ""
