"""restore.sh with the real restic: what it restores at the same time, and the files that it hashes."""

from __future__ import annotations

import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from tests.roles.test_backup_history import Host

NAMES = ("a.gguf", "in a folder/b c.gguf", "ü <&> \"quoted\" 'it'.gguf", "back\\slash", "empty")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.make_repository()
    for name in NAMES:
        path = tmp_path / "source" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("" if name == "empty" else name)
    (tmp_path / "source" / "link").symlink_to("a.gguf")
    os.mkfifo(tmp_path / "source" / "pipe")
    assert "run_failed" not in host.play()
    return host


def restore(host: Host, *lines: str) -> tuple[str, str]:
    """Restore what these lines say; return the result, and the hashes that the host has of it."""
    folder = host.folder / "restoring"
    folder.mkdir(exist_ok=True)
    (folder / "wanted").write_text("".join(f"{line}\n" for line in lines))
    subprocess.run(["sh", str(host.folder / "restore.sh"), "disk", str(folder)], env=host.environment, timeout=60)
    hashes = host.folder / "restoring.hashes"
    return (host.folder / "restoring.result").read_text(), hashes.read_text() if hashes.exists() else ""


def hashes_of(target: str) -> set[str]:
    """Return what sha256sum says of the saved files, with their paths below a folder."""
    texts = {**{name: name for name in NAMES}, "empty": "", "file": "text"}
    lines = ((name, f"{sha256(text.encode()).hexdigest()}  {target}/{name}") for name, text in texts.items())
    # sha256sum marks a line whose name it has escaped.
    return {"\\" + line.replace("\\", "\\\\") if "\\" in name else line for name, line in lines}


def test_every_file_of_weights_is_hashed_whatever_its_name_and_nothing_else_is_read(host: Host) -> None:
    target = str(host.folder / "weights")
    line = f"{target} latest:{host.folder}/source -vv"
    # The second time, restic finds every file there.
    for _ in range(2):
        result, hashes = restore(host, line)
        assert (result, set(hashes.splitlines())) == ("complete\n", hashes_of(target))


def test_the_state_is_not_hashed(host: Host) -> None:
    assert restore(host, f"{host.folder}/files latest") == ("complete\n", "")
    assert (host.folder / f"files{host.folder}/source/file").read_text() == "text"


def test_a_state_that_is_not_restored_is_told_however_good_the_weights_are(host: Host) -> None:
    weights = f"{host.folder}/weights latest:{host.folder}/source -vv"
    result, _ = restore(host, f"{host.folder}/files deadbeef", weights)
    assert result.startswith("failed not restored completely: Fatal: failed to find snapshot: no matching ID")
    assert (host.folder / "weights" / "a.gguf").exists()


def test_a_restic_that_is_killed_has_not_restored_anything(host: Host) -> None:
    program = host.folder / "programs" / "restic"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nkill -9 $PPID\n")
    program.chmod(0o755)
    host.environment["PATH"] = f"{program.parent}:{host.environment['PATH']}"
    result, hashes = restore(host, f"{host.folder}/weights latest:{host.folder}/source -vv")
    assert (result.startswith("failed not restored completely"), hashes) == (True, "")


def test_weights_that_are_not_restored_have_no_hashes(host: Host) -> None:
    state, weights = f"{host.folder}/files latest", f"{host.folder}/weights deadbeef:/ -vv"
    result, hashes = restore(host, state, weights)
    assert (result.startswith("failed not restored completely"), hashes) == (True, "")
