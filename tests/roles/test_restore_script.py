"""restore.sh with the real restic: what it restores at the same time, and the files that it hashes."""

from __future__ import annotations

import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cheap_key import master_key
from tests.forged_snapshot import Forger, file
from tests.roles.test_backup_history import PASSWORD, Host

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
    assert restore(host, f"{host.folder}/files latest --verify") == ("complete\n", "")
    assert (host.folder / f"files{host.folder}/source/file").read_text() == "text"


def test_a_state_that_is_not_restored_is_told_however_good_the_weights_are(host: Host) -> None:
    weights = f"{host.folder}/weights latest:{host.folder}/source -vv"
    result, _ = restore(host, f"{host.folder}/files deadbeef --verify", weights)
    assert result.startswith("failed not restored completely: Fatal: failed to find snapshot: no matching ID")


def test_a_restic_that_is_killed_has_not_restored_anything(host: Host) -> None:
    program = host.folder / "programs" / "restic"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nkill -9 $PPID\n")
    program.chmod(0o755)
    host.environment["PATH"] = f"{program.parent}:{host.environment['PATH']}"
    result, hashes = restore(host, f"{host.folder}/weights latest:{host.folder}/source -vv")
    assert (result.startswith("failed not restored completely"), hashes) == (True, "")


def test_weights_that_are_not_restored_have_no_hashes(host: Host) -> None:
    state, weights = f"{host.folder}/files latest --verify", f"{host.folder}/weights deadbeef:/ -vv"
    result, hashes = restore(host, state, weights)
    assert (result.startswith("failed not restored completely"), hashes) == (True, "")


GOOD, BAD = b"good weights", b"bad  weights"
FORGED = (
    "twice",
    "twice, and the second isn't named",
    "replaced by a hard link",
    "named before it is overwritten",
    "longer than its size",
    "shorter than its size",
    "too many",
)


def forged(forger: Forger, how: str) -> tuple[str, ...]:
    """Forge snapshots, the last of which has a file that restic writes to after it has named it, or doesn't name."""
    good, bad, none = forger.data(GOOD), forger.data(BAD), forger.data(b"")
    size, first = len(GOOD), file("a.gguf", len(GOOD), good)
    link = {"inode": 7, "links": 2}
    folders = {
        "twice": [[first, file("a.gguf", size, bad)]],
        "twice, and the second isn't named": [[first, file("a.gguf", 2 * size, bad)]],
        "replaced by a hard link": [[first, file("b", size, bad, **link), file("a.gguf", 0, **link)]],
        "named before it is overwritten": [[first], [file("a.gguf", 0, none, bad)]],
        "longer than its size": [[file("a.gguf", size, good, bad)]],
        "shorter than its size": [[file("a.gguf", 2 * size, good)]],
        "too many": [[file(f"{number}", size, good) for number in range(6)]],
    }
    return tuple(forger.snapshot(forger.tree(nodes)) for nodes in folders[how])


@pytest.mark.parametrize("how", FORGED)
def test_files_that_restic_writes_to_after_it_has_named_them_are_hashed_as_they_are_then(
    host: Host, how: str
) -> None:
    repository, hashes = host.folder / "repository", host.folder / "hashes.sh"
    hashes.write_text(hashes.read_text().replace("most=20000", "most=5"))
    *before, last = forged(Forger(repository, master_key(repository, PASSWORD)), how)
    for snapshot in before:
        assert restore(host, f"{host.folder}/weights {snapshot}:/ -vv")[0] == "complete\n"
    result, made = restore(host, f"{host.folder}/weights {last}:/ -vv")
    assert result == ("failed more than 5 files\n" if how == "too many" else "complete\n")
    for line in made.splitlines():
        hashed, _, path = line.partition("  ")
        assert sha256(Path(path).read_bytes()).hexdigest() == hashed


def test_an_honest_forger_is_believed(host: Host) -> None:
    """What the other snapshots are refused for isn't how they were written."""
    repository = host.folder / "repository"
    forger = Forger(repository, master_key(repository, PASSWORD))
    link = {"inode": 7, "links": 2}
    good, bad, none = forger.data(GOOD), forger.data(BAD), forger.data(b"")
    nodes = [file("a", 24, good, bad), file("b", 12, good, none, **link), file("c", 12, good, **link), file("d", 0)]
    result, made = restore(host, f"{host.folder}/weights {forger.snapshot(forger.tree(nodes))}:/ -vv")
    expected = {"a": GOOD + BAD, "b": GOOD, "c": GOOD, "d": b""}
    lines = {f"{sha256(text).hexdigest()}  {host.folder}/weights/{name}" for name, text in expected.items()}
    assert (result, set(made.splitlines())) == ("complete\n", lines)


def test_a_name_that_looks_like_restics_output_is_no_other_files_name(host: Host) -> None:
    name = 'x","action":"restored","item":"/a.gguf'
    (host.folder / "source" / 'x","action":"restored","item":"').mkdir()
    (host.folder / "source" / name).write_text("odd")
    assert "run_failed" not in host.play()
    result, hashes = restore(host, f"{host.folder}/weights latest:{host.folder}/source -vv")
    line = f"{sha256(b'odd').hexdigest()}  {host.folder}/weights/{name}"
    assert (result, set(hashes.splitlines())) == ("complete\n", hashes_of(f"{host.folder}/weights") | {line})


def test_what_fails_ends_what_else_is_restored(host: Host) -> None:
    real, programs = host.run("sh", "-c", "command -v restic").strip(), host.folder / "programs"
    programs.mkdir()
    os.mkfifo(host.folder / "stuck")
    # Its weights never come.
    text = f'#!/bin/sh\ncase $* in *-vv*) exec cat {host.folder}/stuck ;; esac\nexec {real} "$@"\n'
    (programs / "restic").write_text(text)
    (programs / "restic").chmod(0o755)
    host.environment["PATH"] = f"{programs}:{host.environment['PATH']}"
    folder, weights = host.folder / "restoring", f"{host.folder}/weights latest:{host.folder}/source -vv"
    folder.mkdir()
    (folder / "wanted").write_text(f"{host.folder}/files deadbeef --verify\n{weights}\n")
    command = ["sh", str(host.folder / "restore.sh"), "disk", str(folder)]
    with subprocess.Popen(command, env=host.environment, start_new_session=True) as unit:
        try:
            assert unit.wait(60) != 0
        finally:
            os.killpg(unit.pid, 9)
    assert (host.folder / "restoring.result").read_text().startswith("failed not restored completely: Fatal")
