from __future__ import annotations

import pytest

from rackwright.operations.facts.path_state import Existing, Found, PathState
from rackwright.operations.filesystem.absent import absent
from rackwright.operations.filesystem.folder import folder
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
