"""Folders for secrets: in memory if possible, and not left behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rackwright.lifecycle.backup.private_folder import private_folder


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("runtime", "temporary"):
        (tmp_path / name).mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path / "runtime"


def test_it_is_in_the_users_runtime_folder_until_the_end(runtime: Path) -> None:
    with private_folder() as folder:
        assert folder.parent == runtime
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def test_it_is_elsewhere_without_room_for_others_or_if_that_folder_is_not_private(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = runtime.with_name("temporary")
    with private_folder(room=2**62) as one, private_folder(for_others=True) as two:
        assert {one.parent, two.parent} == {temporary}
    runtime.chmod(0o755)
    with private_folder() as folder:
        assert folder.parent == temporary
    for wrong in ("", "relative", str(runtime / "none")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", wrong)
        with private_folder() as folder:
            assert folder.parent == temporary


def test_what_a_killed_process_left_is_removed(runtime: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED], capture_output=True, text=True, check=False)
    left = Path(done.stdout.strip())
    assert left.parent == runtime
    alive, other = runtime / f"rackwright-private-{os.getpid()}-x", runtime / "rackwright-else"
    for path in (alive, other):
        path.mkdir()
    with private_folder():
        assert left.exists(), "it may be in use"
    minutes_ago = time.time() - 120
    for path in (left, alive, other):
        os.utime(path, (minutes_ago, minutes_ago))
    with private_folder():
        assert not left.exists()
    assert alive.exists()
    assert other.exists()


def test_a_folder_of_a_process_in_a_container_is_in_use_as_long_as_it_is_locked(runtime: Path) -> None:
    with private_folder() as folder:
        # Its number says nothing here.
        elsewhere = folder.with_name("rackwright-private-9999999999-x")
        folder.rename(elsewhere)
        os.utime(elsewhere, (0, 0))
        with private_folder():
            assert elsewhere.exists()
    with private_folder():
        assert not elsewhere.exists()


_KILLED = """
import os
from rackwright.lifecycle.backup.private_folder import private_folder
with private_folder() as folder:
    (folder / "password").write_text("x")
    print(folder, flush=True)
    os.kill(os.getpid(), 9)
"""
