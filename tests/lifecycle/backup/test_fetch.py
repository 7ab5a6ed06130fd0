"""One file out of a snapshot: complete, or not there at all."""

from __future__ import annotations

import os
import signal
import stat
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.backup import fetch as fetching
from rackwright.lifecycle.backup.contents import NotInSnapshot
from rackwright.lifecycle.backup.fetch import fetch
from rackwright.lifecycle.backup.look import read_chosen
from tests.lifecycle.backup.saved import Saved

BIG = 60_000_000


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "file.tar"


def get(saved: Saved, path: Path, output: Path, say: fetching.Say = lambda _: None) -> str:
    """Return the repository that the file came from."""
    with saved.ways() as ways:
        chosen, _ = read_chosen(ways, saved.fleet, lambda one: fetch(one, str(path), output, say))
    return chosen.reader.repository


def nothing_left(output: Path) -> bool:
    return not list(output.parent.iterdir())


def big(saved: Saved) -> Path:
    """Save a big file, and return it."""
    saved.save("one")
    path = saved.var / "weights"
    path.write_bytes(os.urandom(BIG // 4) * 4)
    saved.save("one")
    return path


def spoil(repository: Path) -> None:
    """Damage the packs with files' contents, and leave the trees as they are."""
    for pack in (path for path in (repository / "data").rglob("*") if path.is_file()):
        content = pack.read_bytes()
        if len(content) > 1_000_000:
            pack.chmod(0o600)
            pack.write_bytes(bytes(len(content)))


def test_a_file_comes_back_as_it_was_for_this_user_alone(saved: Saved, output: Path) -> None:
    saved.save("one")
    assert get(saved, saved.var / "audit.log", output) == "one"
    assert output.read_bytes() == (saved.var / "audit.log").read_bytes()
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert list(output.parent.iterdir()) == [output]


def test_an_empty_file_is_a_file(saved: Saved, output: Path) -> None:
    (saved.etc / "empty").write_text("")
    saved.save("one")
    get(saved, saved.etc / "empty", output)
    assert output.read_bytes() == b""


@pytest.mark.parametrize("kind", ["a file", "a dangling link"])
def test_what_is_there_already_stays(saved: Saved, output: Path, kind: str) -> None:
    saved.save("one")
    if kind == "a file":
        output.write_text("mine")
    else:
        output.symlink_to("nowhere")
    before = os.lstat(output)
    with pytest.raises(RackwrightError, match="there is something already; should be a new file"):
        get(saved, saved.var / "audit.log", output)
    assert (os.lstat(output).st_ino, list(output.parent.iterdir())) == (before.st_ino, [output])


def test_what_appears_while_the_file_is_read_stays(
    saved: Saved, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved.save("one")
    write = fetching._write

    def late(*words: object, **more: object) -> int:
        output.write_text("mine")
        return write(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(fetching, "_write", late)
    with pytest.raises(RackwrightError, match="there is something already"):
        get(saved, saved.var / "audit.log", output)
    assert output.read_text() == "mine"


def test_a_big_file_takes_little_memory(saved: Saved, output: Path) -> None:
    path, said = big(saved), list[str]()
    tracemalloc.start()
    get(saved, path, output, said.append)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000
    assert len(said) == 10
    assert said[-1] == f"{path}: 60.0 MB of 60.0 MB"
    assert output.stat().st_size == BIG
    assert output.read_bytes() == path.read_bytes()


def test_a_restic_that_is_killed_leaves_no_part_of_the_file(saved: Saved, output: Path) -> None:
    path = big(saved)

    def kill(_: str) -> None:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            words = process.read_bytes().split(b"\0") if process.exists() else []
            if words[:1] == [b"restic"] and str(saved.folder("one")).encode() in words:
                os.kill(int(process.parent.name), signal.SIGKILL)

    with pytest.raises(HostError, match="none of its repositories can be read") as raised:
        get(saved, path, output, kill)
    assert "restic said nothing" in raised.value.problems[0].listed[0]
    assert nothing_left(output)


def test_a_repository_that_turns_out_damaged_gives_way_to_the_next(saved: Saved, output: Path) -> None:
    path = big(saved)
    saved.also("two")
    spoil(saved.folder("one"))
    with saved.ways() as ways:
        chosen, _ = read_chosen(ways, saved.fleet, lambda one: fetch(one, str(path), output, lambda _: None))
    assert chosen.reader.repository == "two"
    assert output.read_bytes() == path.read_bytes()
    assert "can't be read: cannot dump file" in chosen.passed_over[0].why
    output.unlink()
    spoil(saved.folder("two"))
    with pytest.raises(HostError, match="none of its repositories can be read"):
        get(saved, path, output)
    assert nothing_left(output)


def test_a_path_that_is_not_there_makes_no_file(saved: Saved, output: Path) -> None:
    saved.save("one")
    with pytest.raises(NotInSnapshot):
        get(saved, saved.var / "nothing", output)
    assert nothing_left(output)


def test_a_folder_becomes_a_tar_archive(saved: Saved, output: Path) -> None:
    (saved.etc / "link").symlink_to("gateway.cfg")
    saved.save("one")
    get(saved, saved.etc, output)
    with tarfile.open(output) as archive:
        names = {Path(one.name).name: one.isfile() for one in archive.getmembers()}
    assert names["gateway.cfg"]
    assert not names["link"]
    with pytest.raises(RackwrightError, match="is a folder; a folder is written as a tar archive"):
        get(saved, saved.etc, output.with_suffix(".cfg"))


def test_a_link_is_not_followed(saved: Saved, output: Path) -> None:
    (saved.etc / "link").symlink_to("/etc/shadow")
    saved.save("one")
    with pytest.raises(RackwrightError, match="is a symlink, not a file or folder"):
        get(saved, saved.etc / "link", output)
    assert nothing_left(output)


def test_a_disk_without_room_is_known_before(saved: Saved, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved.save("one")
    monkeypatch.setattr("shutil.disk_usage", lambda _: os.terminal_size((0, 0)) and type("Usage", (), {"free": 10}))
    with pytest.raises(RackwrightError, match="has 10 B free, and 500 B are needed"):
        get(saved, saved.var / "audit.log", output)
    assert nothing_left(output)
