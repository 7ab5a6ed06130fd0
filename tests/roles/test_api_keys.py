"""A gateway merges the applied keys and the keys pushed since into one file: its script, run for real."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rackwright.operations.haproxy.paths import Paths
from rackwright.operations.haproxy.proxy import Proxy
from rackwright.roles.gateway.configuration import key_entries, key_lines, revoked_line
from rackwright.roles.gateway.settings import Key, RevokedKey

CI, BATCH = "a" * 64, "b" * 64
NOTE = f"{CI} 10 @ {{}}\n"


class Folder:
    """A gateway's folder of keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        proxy = Proxy("gateway", "test", Paths(str(path), str(path)), ())
        self.script = path / "api-keys"
        self.script.write_text(proxy.keys_text())

    def __call__(self, *words: str) -> int:
        return subprocess.run(["sh", str(self.script), *words], check=False).returncode

    def merged(self, applied: str, told: str | None = None) -> dict[str, str]:
        """Name → value of keys.map afterwards."""
        (self.path / "keys.applied").write_text(applied)
        if told is not None:
            (self.path / "keys.pushed").write_text(told)
        assert self("alone", "merge") == 0
        return dict(line.split(" ") for line in (self.path / "keys.map").read_text().splitlines())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def key(sha256: str = CI, version: int = 10, **terms: object) -> Key:
    return Key.model_validate({"id": "ci", "sha256": sha256, "version": version, "about": "ci of team: all", **terms})


def gone(sha256: str = CI) -> str:
    return revoked_line(RevokedKey(sha256=sha256, about="ci of team: revoked"))


def entries(*keys: Key) -> dict[str, str]:
    return dict(entry for one in keys for entry in key_entries(one))


@pytest.mark.parametrize(
    ("applied", "told", "expected"),
    [
        (key_lines(key()), None, entries(key())),
        ("", key_lines(key()), entries(key())),
        (key_lines(key()), key_lines(key(BATCH)), entries(key(), key(BATCH))),
        (key_lines(key()), key_lines(key(version=11, concurrency=4)), entries(key(concurrency=4))),
        (key_lines(key(version=11, concurrency=4)), key_lines(key()), entries(key(concurrency=4))),
        (key_lines(key(models=("a", "b"))), key_lines(key(version=11, models=("c",))), entries(key(models=("c",)))),
        (key_lines(key(version=9)), key_lines(key(version=10, concurrency=4)), entries(key(concurrency=4))),
        (key_lines(key(concurrency=3)), key_lines(key(concurrency=4)), entries(key(concurrency=3))),
        (key_lines(key()) + key_lines(key(BATCH)), gone(), entries(key(BATCH))),
        (gone() + key_lines(key(BATCH)), key_lines(key(version=99)), entries(key(BATCH))),
        ("", "", {}),
    ],
    ids=(
        "applied told both newer-told newer-applied other-models more-digits edited-by-hand revoked-told"
        " revoked-applied none"
    ).split(),
)
def test_of_each_key_what_is_newer_counts(
    folder: Folder, applied: str, told: str | None, expected: dict[str, str]
) -> None:
    assert folder.merged(applied, told) == expected
    assert folder("are_merged") == 0


@pytest.mark.parametrize(
    ("applied", "told", "file"),
    [
        (key_lines(key()), key_lines(key(BATCH)) + NOTE, key_lines(key()) + key_lines(key(BATCH))),
        (
            key_lines(key()),
            key_lines(key(version=11, models=("b", "a"))),
            key_lines(key(version=11, models=("b", "a"))),
        ),
        (key_lines(key()), gone() + NOTE, gone()),
        ("", "", ""),
    ],
    ids="added changed revoked none".split(),
)
def test_a_gateway_that_got_every_change_knows_what_the_keys_file_says(
    folder: Folder, applied: str, told: str, file: str
) -> None:
    """Then an apply has nothing to write. Within each key the lines are sorted by their bytes."""
    folder.merged(applied, told)
    known = subprocess.run(["sh", folder.script, "known"], capture_output=True, text=True, check=True).stdout
    assert known == "".join(sorted(file.splitlines(keepends=True)))


def test_before_the_first_apply_nothing_is_known(folder: Folder) -> None:
    """That doesn't mean that there are no keys. A gateway of a fleet without any key must learn that, too."""
    assert folder("known") == 1
    assert not (folder.path / "keys.map").exists()
    assert folder.merged("") == {}
    assert folder("known") == 0


def test_a_key_that_was_revoked_by_an_apply_stays_so_when_an_older_file_is_applied(folder: Folder) -> None:
    assert folder.merged(gone()) == {}
    assert folder.merged(key_lines(key(version=99))) == {}
    assert folder.merged(key_lines(key(version=99)), told="") == entries(key())


def test_revocations_are_kept_once(folder: Folder) -> None:
    for _ in range(3):
        folder.merged(gone() + gone(BATCH))
    assert (folder.path / "keys.pushed").read_text().count("revoked #") == 2


def test_a_manual_edit_of_keys_map_is_noticed(folder: Folder) -> None:
    folder.merged(key_lines(key()))
    (folder.path / "keys.map").write_text("x y\n")
    assert folder("are_merged") != 0
    assert folder.merged(key_lines(key())) == entries(key())


def test_files_are_for_whom_they_should_be(folder: Folder) -> None:
    folder.merged(gone())
    modes = {name: (folder.path / name).stat().st_mode & 0o777 for name in ("keys.map", "keys.pushed")}
    assert modes == {"keys.map": 0o640, "keys.pushed": 0o600}
    assert (folder.path / "keys.map").group() == "haproxy"


def test_what_is_as_it_should_be_is_not_written_again(folder: Folder) -> None:
    folder.merged(key_lines(key()))
    before = (folder.path / "keys.map").stat()
    folder.merged(key_lines(key()))
    after = (folder.path / "keys.map").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_one_at_a_time_changes_them(folder: Folder) -> None:
    assert folder("alone", "flock", "-n", str(folder.path), "true") == 1
