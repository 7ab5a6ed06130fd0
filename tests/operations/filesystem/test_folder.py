from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rackwright.operations.facts.path_state import Existing, Found, PathState
from rackwright.operations.filesystem.absent import absent
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.filesystem.others_absent import FilesBelow, others_absent
from tests.fakes import commands


def role() -> None:
    folder(name="Folder", path="/srv/a b", mode="0750", group="adm")


@pytest.mark.parametrize(
    "found", [None, Found("directory", 0o755, "root", "adm"), Found("directory", 0o750, "root", "root")]
)
def test_a_folder_is_made_with_its_mode_or_put_right(found: Found | None) -> None:
    assert commands(role, facts={PathState: found}) == ["install -d -m 0750 -o root -g adm -- '/srv/a b'"]


def test_a_folder_as_it_should_be_is_left() -> None:
    assert commands(role, facts={PathState: Found("directory", 0o750, "root", "adm")}) == []


def test_only_what_is_there_is_removed() -> None:
    def gone() -> None:
        absent(name="Absent", paths=("/srv/a b", "/srv/c"))

    assert commands(gone, facts={Existing: ("/srv/a b",)}) == ["rm -rf --one-file-system -- '/srv/a b'"]
    assert commands(gone, facts={Existing: ()}) == []


def test_every_file_that_does_not_belong_in_a_folder_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "it's here"
    for name in ("kept", "inner/kept.py", "inner/__pycache__/kept.pyc", "old name"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).touch()
    (top / "link").symlink_to("/nonexistent")

    def gone() -> None:
        others_absent(name="Others", folder=str(top), keep=("kept", "inner/kept.py"))

    said = subprocess.run(["sh", "-c", FilesBelow().command(str(top))], capture_output=True, text=True, check=True)
    found = FilesBelow().process(said.stdout.splitlines())
    (removal,) = commands(gone, facts={FilesBelow: found})
    subprocess.run(["sh", "-c", removal], check=True)
    left = {path.relative_to(top).as_posix() for path in top.rglob("*") if not path.is_dir()}
    assert left == {"kept", "inner/kept.py"}
    assert commands(gone, facts={FilesBelow: tuple(left)}) == []
    assert commands(gone, facts={FilesBelow: ()}) == []
