from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rackwright.operations.facts.stored_folder import FreeRoom, Marker, OpenFolders


def asked(folder: Path) -> str | None:
    printed = subprocess.run(["sh", "-c", Marker().command(str(folder))], capture_output=True, text=True, check=True)
    lines = printed.stdout.splitlines()
    return Marker().process(lines) if lines else Marker.default()


@pytest.mark.parametrize("written", ["d" * 64 + "\n", "", "\n"])
def test_a_folder_says_what_it_was_verified_as(tmp_path: Path, written: str) -> None:
    folder = tmp_path / "it's $HOME"
    folder.mkdir()
    (folder / ".verified").write_text(written)
    assert asked(folder) == (written.strip() or None)


def test_a_folder_without_a_marker_was_not_verified(tmp_path: Path) -> None:
    assert asked(tmp_path) is None
    assert asked(tmp_path / "none") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="makes folders of root")
def test_folders_of_weights_that_users_may_enter_are_found_and_others_are_not(tmp_path: Path) -> None:
    root = tmp_path / "it's $HOME"
    for name, mode, marked in (
        ("open", 0o755, True),
        ("listed", 0o711, True),
        ("closed", 0o700, True),
        ("inherited", 0o2700, True),
        ("foreign", 0o755, False),
        (".incoming", 0o755, True),
    ):
        (root / name / "0123456789abcdef").mkdir(parents=True)
        if marked:
            (root / name / "0123456789abcdef/.verified").touch()
        (root / name).chmod(mode)
    (root / "theirs" / "0123456789abcdef").mkdir(parents=True, mode=0o700)
    (root / "theirs" / "0123456789abcdef/.verified").touch()
    (root / "theirs").chmod(0o700)
    os.chown(root / "theirs", 65534, 65534)
    (root / "link").symlink_to("open")
    printed = subprocess.run(
        ["sh", "-c", OpenFolders().command(str(root))], capture_output=True, text=True, check=True
    )
    assert set(OpenFolders().process(printed.stdout.splitlines())) == {
        f"{root}/{name}" for name in ("open", "listed", "theirs")
    }
    assert OpenFolders().process(["/srv/models/a b", "-", "/srv/models/a\\n"]) == ()


@pytest.mark.parametrize("mounted", [True, False])
def test_room_is_where_the_folder_is_or_will_be_and_of_the_system_s_own_disk_or_not(
    tmp_path: Path, mounted: bool
) -> None:
    (tmp_path / ".incoming").mkdir()
    (tmp_path / ".incoming" / "aa.verified").write_bytes(b"12")
    stat = f'stat() {{ case "$*" in *" /") echo 1 ;; *) echo {2 if mounted else 1} ;; esac; }}\n'
    command = stat + FreeRoom().command(str(tmp_path))
    printed = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    room = FreeRoom().process(printed.splitlines())
    assert (room.arrived, room.mounted) == ({"aa": 2}, mounted)
    assert room.free
