from __future__ import annotations

import shlex
from pathlib import Path

from rackwright.operations.download import all_fetched
from rackwright.operations.facts.stored import Marker
from rackwright.route import Route
from rackwright.values import File
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
    files = (*FILES[:3], FILES[3].model_copy(update={"url": (tmp_path / "d.whl").as_uri()}))
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
    assert [one for one in commands if one.startswith("upload")] == [f"upload /opt/r/.incoming/{'d' * 64}"]


def test_a_plan_names_where_they_come_from_and_nothing_signed() -> None:
    (shown,) = fetched(None).diffs.values()
    assert "4 files" in shown
    assert "https://index.lab/x\n" in shown
    assert "signed" not in shown
    assert shown.count("from ") == 3
    assert "…" in shown
    (shown,) = fetched(None, *FILES[:2]).diffs.values()
    assert "…" not in shown
