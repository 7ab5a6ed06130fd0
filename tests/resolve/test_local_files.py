"""What a file: source may not be: `lock` would hash it, and an apply would send it to hosts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.source import FileSource
from rackwright.resolve.local_files import local_file, local_model
from rackwright.resolve.web import quiet
from tests.shape.whole import whole_gguf


def refusal(path: Path) -> str:
    with pytest.raises(FleetError) as caught:
        local_model(path, FileSource("model"), where="x", choice=lambda sizes: tuple(sizes), on_progress=quiet)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "m.gguf").write_bytes(b"GGUF")
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


def test_every_link_that_leaves_the_folder_is_named(folder: Path) -> None:
    (folder / "a.json").symlink_to("/etc/passwd")
    (folder / "b.json").symlink_to("../secret")
    (folder / "sub").mkdir()
    (folder / "sub" / "c.json").symlink_to("../m.gguf")
    assert refusal(folder) == "\n".join(
        f"x: {folder}/{name} is a link out of the folder; copy the file: cp -L {folder}/{name} …"
        for name in ("a.json", "b.json")
    )


def test_a_link_within_the_folder_is_a_file_of_it(folder: Path) -> None:
    (folder / "a.gguf").symlink_to("m.gguf")
    found = local_model(folder, FileSource("model/"), where="x", choice=lambda sizes: tuple(sizes), on_progress=quiet)
    assert [file.url for file in found] == ["file:model/a.gguf", "file:model/m.gguf"]


def test_only_regular_files_are_read(folder: Path) -> None:
    os.mkfifo(folder / "fifo.gguf")
    for path in (folder / "fifo.gguf", Path("/dev/zero")):
        assert refusal(path) == f"x: {path} can't be read: is not a regular file"


def test_a_file_that_grows_or_has_no_size_is_refused() -> None:
    with pytest.raises(FleetError, match=r"/proc/self/status has 0 bytes, but [1-9][0-9]* were read: it changes"):
        local_file(Path("/proc/self/status"), "m.json", "file:m.json", where="x", on_progress=quiet)


def test_weights_that_were_cut_off_are_refused_before_they_are_hashed(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    whole = whole_gguf({"general.architecture": "llama"}, {"a": (0, (1000,))})
    path.write_bytes(whole)
    assert local_file(path, "m.gguf", "file:m.gguf", where="x", on_progress=quiet).size == len(whole)
    path.write_bytes(whole[:-1])
    with pytest.raises(FleetError) as caught:
        local_file(path, "m.gguf", "file:m.gguf", where="x", on_progress=quiet)
    (problem,) = caught.value.problems
    assert problem.what == f"{path} has {len(whole) - 1} bytes, and its tensors need {len(whole)}: it was cut off"
    assert problem.next == "download it again, and compare its sha256 with the source's"


def test_what_is_no_gguf_is_not_judged_by_its_length(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"weights")
    assert local_file(path, "m.gguf", "file:m.gguf", where="x", on_progress=quiet).size == 7
