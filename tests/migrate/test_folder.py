"""A migration's folder: what was written is read back, and what is damaged is said, never read."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright.errors import RackwrightError
from rackwright.migrate import folder as folders
from rackwright.migrate.folder import Folder
from rackwright.migrate.folder_list import MANIFEST
from rackwright.values.secrets import Secret
from tests.full_disk import full_at

IDENTITY = pyrage.x25519.Identity.generate()
OTHER = pyrage.x25519.Identity.generate()


def opened(path: Path, identity: object = IDENTITY) -> Folder:
    return Folder(path, str(IDENTITY.to_public()), Secret(str(identity)) if identity else None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A folder whose files have at most 100 bytes of text."""
    monkeypatch.setattr(folders, "CHUNK", 100)
    return opened(tmp_path / "records")


def lines(count: int) -> list[str]:
    return [f"line {number:03} ü" for number in range(count)]


def files(folder: Folder) -> list[Path]:
    return sorted(folder.path.glob("*.age"))


def test_lines_come_back_in_their_order_over_several_writes(folder: Folder) -> None:
    names = folder.write("requests", lines(20))
    assert names[:2] == ("requests-000001.jsonl.age", "requests-000002.jsonl.age")
    folder.write("answers-cloud", ["other"])
    folder.write("requests", ["last"])
    assert list(opened(folder.path).read("requests")) == [*lines(20), "last"]
    assert list(folder.read("answers-cloud")) == ["other"]
    assert list(folder.read("answers-fleet")) == []
    assert folder.problems() == ()


def test_nothing_readable_is_on_disk_and_only_the_owner_may_look(folder: Folder) -> None:
    folder.write("requests", lines(20))
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    for path in folder.path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"line" not in path.read_bytes().replace(b'"lines"', b"")


def test_no_lines_are_no_file(folder: Folder) -> None:
    assert folder.write("requests", []) == ()
    assert files(folder) == []
    assert list(folder.read("requests")) == []


def test_a_line_longer_than_a_file_has_a_file_of_its_own(folder: Folder) -> None:
    written = ["a", "x" * 1000, "b"]
    assert len(folder.write("requests", written)) == 3
    assert list(folder.read("requests")) == written


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=50)))
def test_any_line_comes_back(tmp_path_factory: pytest.TempPathFactory, written: list[str]) -> None:
    folder = opened(tmp_path_factory.mktemp("any") / "records")
    folder.write("requests", written)
    assert list(folder.read("requests")) == written


def test_a_reader_without_the_private_key_is_told_which_one_it_needs(folder: Folder) -> None:
    folder.write("requests", lines(1))
    with pytest.raises(RackwrightError, match=r"needs the private key; records.identity of the plan"):
        list(opened(folder.path, None).read("requests"))
    for wrong in (OTHER, "AGE-SECRET-KEY-1NOTAKEY", "", "\x00"):
        with pytest.raises(RackwrightError, match=r"can't be decrypted|needs the private key") as caught:
            list(opened(folder.path, wrong).read("requests"))
        assert str(wrong) not in str(caught.value) or not str(wrong)


@pytest.mark.parametrize("how", ["cut", "longer", "flipped", "other"])
def test_a_file_that_was_changed_is_named_and_not_read(folder: Folder, how: str) -> None:
    folder.write("requests", lines(20))
    first, second = files(folder)[:2]
    content = second.read_bytes()
    changed = {"cut": content[:-1], "longer": content + b"x", "other": first.read_bytes()}
    second.write_bytes(changed.get(how, content[:-1] + bytes([content[-1] ^ 1])))
    (problem,) = folder.problems()
    assert (problem.where, problem.what) == (str(second), "was changed")
    found = []
    with pytest.raises(RackwrightError, match="is missing or was changed"):
        found.extend(folder.read("requests"))
    assert found == lines(20)[:8]
    second.write_bytes(content)
    assert list(folder.read("requests")) == lines(20)


def test_a_missing_file_is_named(folder: Folder) -> None:
    folder.write("requests", lines(20))
    files(folder)[1].unlink()
    assert [problem.what for problem in folder.problems()] == ["is missing"]
    with pytest.raises(RackwrightError, match=r"000002.* is missing or was changed"):
        list(folder.read("requests"))


def test_a_link_in_place_of_a_file_is_not_followed(folder: Folder, tmp_path: Path) -> None:
    folder.write("requests", lines(1))
    (one,) = files(folder)
    one.rename(tmp_path / "moved")
    one.symlink_to(tmp_path / "moved")
    with pytest.raises(RackwrightError, match="can't be read"):
        list(folder.read("requests"))
    assert [problem.what for problem in folder.problems()] == ["can't be read"]
    one.unlink()
    one.mkdir()
    assert [problem.what for problem in folder.problems()] == ["is missing"]


def test_a_pipe_in_place_of_a_file_does_not_hang(folder: Folder) -> None:
    folder.write("requests", lines(1))
    (one,) = files(folder)
    one.unlink()
    os.mkfifo(one)
    assert [problem.what for problem in folder.problems()] == ["is missing"]


DAMAGED = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[]",
    b'{"format": "migration-files/2", "files": {}}',
    b'{"files": {"a": 1}}',
    b'{"files": {"requests-000001.jsonl.age": {"sha256": 1}}}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_list_of_files_is_an_error_and_stays(folder: Folder, content: bytes) -> None:
    folder.write("requests", lines(1))
    (folder.path / MANIFEST).write_bytes(content)
    read, write = (lambda: list(folder.read("requests"))), (lambda: folder.write("requests", ["x"]))
    for act in (folder.manifest, folder.problems, read, write):
        with pytest.raises(RackwrightError, match=r"files.json: is damaged"):
            act()
    assert (folder.path / MANIFEST).read_bytes() == content


def test_names_in_the_list_lead_nowhere_else(folder: Folder, tmp_path: Path) -> None:
    """The list may come from a copy on another machine."""
    folder.write("requests", lines(1))
    (tmp_path / "secret").write_text("x")
    manifest = json.loads((folder.path / MANIFEST).read_text())
    (one,) = manifest["files"].values()
    manifest["files"] |= {"../secret": one, "/etc/passwd": one, "requests-000009.jsonl.age/../x": one}
    (folder.path / MANIFEST).write_text(json.dumps(manifest))
    assert [name for name, _ in folder.of("requests")] == ["requests-000001.jsonl.age"]
    folder.remove("requests")
    assert (tmp_path / "secret").exists()


def test_a_full_disk_is_an_error_and_the_files_before_stay(folder: Folder) -> None:
    with full_at(2000), pytest.raises(RackwrightError, match=r"000003.* can't be written: File too large"):
        folder.write("requests", ["a" * 99, "b" * 99, "c" * 5000, "d"])
    assert list(folder.read("requests")) == ["a" * 99, "b" * 99]
    assert folder.problems() == ()
    assert not [path for path in folder.path.iterdir() if path.name.startswith(".requests")]
    folder.write("requests", ["c"])
    assert list(folder.read("requests")) == ["a" * 99, "b" * 99, "c"]


def test_an_error_of_the_lines_leaves_whole_files(folder: Folder) -> None:
    def failing() -> Iterator[str]:
        yield from lines(20)
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        folder.write("requests", failing())
    found = list(folder.read("requests"))
    assert found == lines(20)[: len(found)]
    assert len(found) >= 7


KILLED = """
import os, signal, sys
from pathlib import Path
from rackwright.fleet import yaml_file
from rackwright.migrate import folder as folders
folders.CHUNK = 100
left, real = int(sys.argv[3]), os.fsync
def fsync(descriptor):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)
os.fsync = yaml_file.os.fsync = fsync
folders.Folder(Path(sys.argv[1]), sys.argv[2]).write("requests", [f"line {number:03} ü" for number in range(20)])
"""


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 5, 6, 99])
def test_a_write_that_is_killed_leaves_whole_files_and_the_next_one_goes_on(tmp_path: Path, moment: int) -> None:
    """SIGKILL at the n-th fsync. A file that no list names is overwritten."""
    place = tmp_path / "records"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(place), str(IDENTITY.to_public()), str(moment)], timeout=60
    )
    assert done.returncode == (0 if moment == 99 else -9)
    folder = opened(place)
    found = list(folder.read("requests"))
    assert found == lines(20)[: len(found)]
    assert folder.problems() == ()
    folder.write("requests", ["after"])
    assert list(folder.read("requests")) == [*found, "after"]


def test_removed_files_are_gone_and_the_others_stay(folder: Folder) -> None:
    folder.write("requests", lines(20))
    folder.write("answers-cloud", ["kept"])
    count = len(folder.of("requests"))
    assert folder.remove("requests") == count > 1
    assert list(folder.read("requests")) == []
    assert [path.name for path in files(folder)] == ["answers-cloud-000001.jsonl.age"]
    assert list(folder.read("answers-cloud")) == ["kept"]
    assert folder.remove("requests") == 0


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """A gateway encrypted it, and may have been taken over."""
    identity = pyrage.x25519.Identity.generate()
    folder = Folder(tmp_path / "records", str(identity.to_public()), Secret(str(identity)))
    content = pyrage.encrypt(b"\xff\n", [identity.to_public()])
    name = folder.adopt("requests", content, 1)
    with pytest.raises(RackwrightError, match=f"{name}: isn't text"):
        list(folder.read("requests"))


def test_two_commands_at_a_time_lose_no_file(tmp_path: Path) -> None:
    """An import while a replay writes answers that were paid: each of them reads the list, and replaces it."""
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    kinds = [f"kind-{letter}" for letter in "abcdefgh"]

    def fill(kind: str) -> None:
        for number in range(5):
            Folder(tmp_path / "records", recipient).write(kind, [str(number)])

    with ThreadPoolExecutor(len(kinds)) as pool:
        list(pool.map(fill, kinds))
    folder = Folder(tmp_path / "records", recipient)
    assert {kind: len(folder.of(kind)) for kind in kinds} == dict.fromkeys(kinds, 5)


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import sys, threading
from pathlib import Path
from rackwright.migrate.folder import Folder
folder = Folder(Path(sys.argv[1]), sys.argv[2])
kinds = ("answers-cloud", "answers-again", "answers-fleet")

def write(kind):
    for _ in range(20):
        folder.write(kind, ["x"])

writers = [threading.Thread(target=write, args=(kind,)) for kind in kinds]
for writer in writers:
    writer.start()
for writer in writers:
    writer.join()
"""


def test_writers_of_one_command_do_not_wait_for_one_another_for_good(tmp_path: Path) -> None:
    """The command line runs threads as greenlets. A call that blocks would also stop the one that has the lock."""
    identity = pyrage.x25519.Identity.generate()
    words = [sys.executable, "-c", GREENLETS, str(tmp_path / "records"), str(identity.to_public())]
    subprocess.run(words, check=True, timeout=60)
    assert len(Folder(tmp_path / "records", str(identity.to_public())).manifest().files) == 60
