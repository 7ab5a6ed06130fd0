from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

from rackwright.operations.facts.stored_folder import FreeRoom, Marker, Room, Stored, StoredFolder
from rackwright.operations.filesystem.fetch import all_fetched
from rackwright.operations.filesystem.stored_folder import room_made
from rackwright.route import Route
from rackwright.values.file import File
from tests.fakes import Played, play

FILES = (
    File(path="a.whl", size=1, sha256="a" * 64, url="https://index.lab/x/a.whl?signed=secret"),
    File(path="b.whl", size=2, sha256="b" * 64, url="https://index.lab/y/b.whl"),
    File(path="c.whl", size=3, sha256="c" * 64, url="https://index.lab/z/c.whl"),
    File(path="d.whl", size=4, sha256="d" * 64, url="https://index.lab/w/d.whl"),
)


def fetched(marker: str | None, *files: File) -> Played:
    def role() -> None:
        all_fetched(
            name="Fetch",
            what="vLLM",
            files=files or FILES,
            root="/opt/r",
            folder="/opt/r/vllm-1",
            digest="e" * 64,
            route=Route(proxy="http://proxy.lab:3128"),
        )

    return play(role, facts={Marker: marker})


def test_all_of_a_folder_that_is_there_is_fetched_never_again() -> None:
    assert fetched("e" * 64).commands == []


def test_each_file_is_fetched_or_sent_and_checked_by_its_own_size_and_hash(tmp_path: Path) -> None:
    (tmp_path / "d.whl").write_bytes(b"four")
    sent = {"url": f"file:{tmp_path}/d.whl", "sha256": hashlib.sha256(b"four").hexdigest()}
    files = (*FILES[:3], FILES[3].model_copy(update=sent))
    commands = fetched("f" * 64, *files).commands
    assert commands[0] == "install -d -m 0700 -o root -g root -- /opt/r/.incoming"
    for file in files:
        (words,) = [shlex.split(one) for one in commands if one.startswith("sh -c") and file.sha256 in one]
        at = words.index(f"/opt/r/.incoming/{file.sha256}")
        assert words[at - 2 : at + 3] == [
            f"vLLM {file.path}",
            file.url if file.url.startswith("https:") else "",
            words[at],
            str(file.size),
            file.sha256,
        ]
    assert [one for one in commands if one.startswith("upload")] == [f"upload /opt/r/.incoming/{files[3].sha256}"]


def test_a_plan_names_where_they_come_from_and_nothing_signed() -> None:
    (shown,) = fetched(None).diffs.values()
    assert "4 files, 0.000 GB" in shown
    assert "https://index.lab/x\n" in shown
    assert "signed" not in shown
    assert shown.count("from ") == 3
    assert "…" in shown
    (shown,) = fetched(None, *FILES[:2]).diffs.values()
    assert "…" not in shown


def test_a_file_that_the_controller_lacks_is_told_and_not_sent(tmp_path: Path) -> None:
    there = FILES[0].model_copy(update={"url": (tmp_path / "a.whl").as_uri()})
    for content, wrong in ((None, "is missing on the controller"), (b"four", "has 4 bytes on the controller")):
        if content:
            (tmp_path / "a.whl").write_bytes(content)
        commands = fetched(None, there).commands
        # What another host's copy has been passed on as is used, and checked like any other file.
        assert commands[-2].startswith("[ -f ")
        assert commands[-2].endswith(">&2; false; }")
        assert wrong in commands[-2]
        assert there.sha256 in commands[-1]
        assert not [one for one in commands if one.startswith("upload")]


def test_a_folder_of_the_hosts_own_need_not_be_mounted() -> None:
    def role() -> None:
        room_made(name="Room", what="vLLM", files=FILES, root="/opt/r", folder="/opt/r/vllm-1", digest="e" * 64)

    facts = {FreeRoom: Room(free=10**12, mounted=False), StoredFolder: Stored()}
    assert play(role, facts=facts).commands == ["[ -d /opt/r ] || install -d -m 0755 -o root -g root -- /opt/r"]
