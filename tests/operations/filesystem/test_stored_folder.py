"""place.sh and unpack.sh, run for real, as root, with files of a few bytes: in folders of this test only."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.operations.facts.stored_folder import ReadThrough
from rackwright.operations.filesystem.stored_folder import PLACE, READ, UNPACK

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root and runs as nobody")


@pytest.fixture
def root() -> Iterator[Path]:
    # Directly below /tmp: the user nobody may not enter pytest's own folders.
    with tempfile.TemporaryDirectory(prefix="rackwright-store-") as folder:
        Path(folder).chmod(0o755)
        Path(folder, ".incoming").mkdir()
        yield Path(folder)


def run(script: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", script, "script", *map(str, words)], capture_output=True, text=True, check=False
    )


def arrived(root: Path, content: bytes) -> Path:
    path = root / ".incoming" / "aa.verified"
    path.write_bytes(content)
    path.with_name("aa.lock").touch()
    return path


def archive(root: Path, program: str) -> Path:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("llama-b1/server")
        member.size, member.mode = len(program), 0o755
        tar.addfile(member, io.BytesIO(program.encode()))
    return arrived(root, packed.getvalue())


def left(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_files_replace_what_stood_there_whole_and_read_only(root: Path) -> None:
    for number in (1, 2):
        arrived(root, b"weights %d" % number)
        done = run(PLACE, root / ".incoming", root / "model", f"digest {number}", "aa", "part/one.gguf")
        assert (done.returncode, done.stderr) == (0, "")
        assert (root / "model/part/one.gguf").read_text() == f"weights {number}"
        assert (root / "model/.verified").read_text() == f"digest {number}\n"
        assert left(root) == [".incoming", "model", "model/.verified", "model/part", "model/part/one.gguf"]
    assert (root / "model/part/one.gguf").stat().st_mode & 0o777 == 0o444


def test_only_root_may_enter_the_folder_of_a_model(root: Path) -> None:
    (root / "store").mkdir()
    (root / "store").chmod(0o2755)
    for mode in (None, 0o755, 0o3711):
        if mode:
            (root / "store/model").chmod(mode)
        arrived(root, b"weights")
        assert run(PLACE, root / ".incoming", root / "store/model/one", "digest", "aa", "one.gguf").returncode == 0
        assert (root / "store").stat().st_mode & 0o7777 == 0o2755
        assert (root / "store/model").stat().st_mode & 0o7777 == 0o700
        assert (
            run("! setpriv --reuid=nobody --clear-groups cat -- $1", root / "store/model/one/one.gguf").returncode
            == 0
        )


def test_what_an_interrupted_run_left_is_not_put_in_place(root: Path) -> None:
    partial = root / "model.partial" / "part"
    partial.mkdir(parents=True)
    for name in ("one.gguf", "stray.gguf"):
        (partial / name).write_text("half")
    arrived(root, b"weights")
    assert run(PLACE, root / ".incoming", root / "model", "digest", "aa", "part/one.gguf").returncode == 0
    assert left(root) == [".incoming", "model", "model/.verified", "model/part", "model/part/one.gguf"]
    assert (root / "model/part/one.gguf").read_text() == "weights"


def test_an_archive_replaces_what_stood_there_once_its_program_has_run(root: Path) -> None:
    for number in (1, 2):
        found = archive(root, f"#!/bin/sh\necho {number}\n")
        done = run(UNPACK, found, root / "llama", f"digest {number}", "server", "--version")
        assert (done.returncode, done.stderr) == (0, "")
        assert (root / "llama/.verified").read_text() == f"digest {number}\n"
        assert left(root) == [".incoming", "llama", "llama/.verified", "llama/server"]
    assert (root / "llama/server").stat().st_mode & 0o777 == 0o555


def test_a_program_that_does_not_run_leaves_what_stood_there(root: Path) -> None:
    assert run(UNPACK, archive(root, "#!/bin/sh\n"), root / "llama", "1", "server").returncode == 0
    done = run(UNPACK, archive(root, "#!/bin/sh\necho no GLIBC\nexit 7\n"), root / "llama", "2", "server")
    assert (done.returncode, done.stderr) == (1, f"{root}/llama: server  exited 7: no GLIBC\n")
    assert (root / "llama/.verified").read_text() == "1\n"
    assert left(root) == [
        ".incoming",
        ".incoming/aa.lock",
        ".incoming/aa.verified",
        "llama",
        "llama/.verified",
        "llama/server",
    ]


def read(root: Path, *pairs: object, device: int = 2) -> subprocess.CompletedProcess[str]:
    """`device`: the folder's device number in stat's output; the system's is 1."""
    of = f'"-c %d -- /") echo 1 ;; "-c %d "*) echo {device} ;;'
    script = f'stat() {{ case "$*" in {of} *) command stat "$@" ;; esac; }}\n{READ}'
    return run(script, "assistant", root / "model", "digest", "gpu1", root / "note", "should be mounted", *pairs)


def was_read(root: Path, digest: str = "digest") -> bool:
    command = ReadThrough().command(str(root / "note"), str(root / "model"), digest)
    printed = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    return ReadThrough().process(printed.splitlines())


def test_what_another_host_wrote_is_noted_when_every_byte_of_it_was_read_here(root: Path) -> None:
    arrived(root, b"weights")
    run(PLACE, root / ".incoming", root / "model", "digest", "aa", "part/one.gguf")
    good = hashlib.sha256(b"weights").hexdigest()
    assert read(root, good, "part/one.gguf").returncode == 0
    assert was_read(root)
    assert not was_read(root, "another")


def test_a_folder_that_was_put_there_again_or_is_another_has_to_be_read_again(root: Path) -> None:
    for _ in range(2):
        arrived(root, b"weights")
        run(PLACE, root / ".incoming", root / "model", "digest", "aa", "part/one.gguf")
        assert not was_read(root)
        assert read(root).returncode == 0
        assert was_read(root)
    (root / "model").rename(root / "other")
    (root / "model").symlink_to("other")
    assert was_read(root)
    (root / "moved").mkdir()
    (root / "note").rename(root / "moved" / "note")
    (root / "other").rename(root / "moved" / "model")
    assert not was_read(root / "moved")


def test_the_host_s_own_disk_is_read_by_nobody_as_shared(root: Path) -> None:
    arrived(root, b"weights")
    run(PLACE, root / ".incoming", root / "model", "digest", "aa", "part/one.gguf")
    done = read(root, device=1)
    assert (done.returncode, done.stderr) == (1, "assistant: should be mounted\n")
    assert not (root / "note").exists()


def test_what_differs_where_it_is_read_is_named_and_not_noted(root: Path) -> None:
    arrived(root, b"weights")
    run(PLACE, root / ".incoming", root / "model", "digest", "aa", "part/one.gguf")
    good, wrong = hashlib.sha256(b"weights").hexdigest(), "f" * 64
    done = read(root, wrong, "part/one.gguf", good, "missing.gguf")
    assert done.returncode == 1
    assert f"part/one.gguf ({good}, should be {wrong})" in done.stderr
    assert " missing.gguf (missing)" in done.stderr
    assert not (root / "note").exists()


def test_a_folder_that_is_not_there_yet_names_who_should_write_it(root: Path) -> None:
    done = read(root)
    assert done.returncode == 1
    assert "is missing or incomplete. It is shared, and gpu1 should create it." in done.stderr
    assert "If gpu1 is down, set disabled: REASON for it in the fleet file" in done.stderr


def test_a_server_that_takes_root_for_nobody_is_named_as_the_cause(root: Path) -> None:
    arrived(root, b"weights")
    run(PLACE, root / ".incoming", root / "store/model", "digest", "aa", "one.gguf")
    as_nobody = 'exec setpriv --reuid=nobody --clear-groups sh -c "$0" "$@"'
    script = f'stat() {{ case "$*" in *" /") echo 1 ;; *) echo 2 ;; esac; }}\n{READ}'
    words = ("read", "assistant", root / "store/model", "digest", "gpu1", root / "note", "should be mounted")
    done = subprocess.run(
        ["sh", "-c", as_nobody, script, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"assistant: root of this host may not enter {root}/store. "
        "The server should export it to this host with no_root_squash\n",
    )


def test_what_reads_through_is_short_and_shellcheck_finds_nothing() -> None:
    assert len(READ.splitlines()) < 60
    checked = subprocess.run(["shellcheck", "-s", "sh", "-"], input=READ, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
