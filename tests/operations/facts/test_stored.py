from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rackwright.operations.facts.stored import Marker


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
