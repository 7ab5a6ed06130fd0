"""Files that are exchanged or changed between the lock and a host."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest

from rackwright.operations.filesystem import sent_file
from rackwright.operations.filesystem.sent_file import _NEXT, SentFile, UnfitFile
from rackwright.values.file import File

CONTENT = bytes(range(100))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_file, "PIECE", 8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(CONTENT)
    return path


def locked(content: bytes = CONTENT) -> File:
    return File(path="m.gguf", size=len(content), sha256=hashlib.sha256(content).hexdigest(), url="file:m.gguf")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def sent(stream: SentFile, into: bytearray) -> None:
    while part := stream.read(5):
        into += part


def refusal(path: Path, file: File) -> str:
    with pytest.raises(UnfitFile) as caught:
        SentFile(path, file)
    return str(caught.value)


def test_the_locks_bytes_are_sent_in_parts_of_any_size(path: Path) -> None:
    stream = SentFile(path, locked())
    assert (stream.seek(0, io.SEEK_END), stream.tell()) == (100, 100)
    assert (stream.seek(0), stream.tell()) == (0, 0)
    assert b"".join(iter(lambda: stream.read(5), b"")) == CONTENT
    stream.seek(0)
    assert stream.read() == CONTENT
    with pytest.raises(io.UnsupportedOperation):
        stream.seek(3)


def test_an_empty_file_is_sent(path: Path) -> None:
    path.write_bytes(b"")
    assert SentFile(path, locked(b"")).read(5) == b""


def test_it_is_closed_when_all_is_sent(path: Path) -> None:
    stream = SentFile(path, locked())
    before = open_files()
    assert len(stream.read()) == 100
    assert open_files() == before


def test_a_file_with_other_bytes_is_refused_before_any_is_sent(path: Path) -> None:
    path.write_bytes(CONTENT[:-1] + b"x")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert refusal(path, locked()) == (
        f"{path} has sha256 {found} on the controller, should have {locked().sha256}; {_NEXT}"
    )


@pytest.mark.parametrize(
    "exchanged", [CONTENT[:60] + b"x" + CONTENT[61:], CONTENT[:50], CONTENT + b"x"], ids=["other", "cut", "longer"]
)
def test_a_file_that_is_exchanged_after_it_was_hashed_ends_the_stream(path: Path, exchanged: bytes) -> None:
    stream = SentFile(path, locked())
    path.unlink()
    path.write_bytes(exchanged)
    arrived = bytearray()
    with pytest.raises(UnfitFile, match="on the controller"):
        sent(stream, arrived)
    assert CONTENT.startswith(arrived)
    assert len(arrived) <= 56


def test_a_file_that_is_changed_while_it_is_sent_ends_the_stream(path: Path) -> None:
    # Much larger than a reader's buffer.
    content = CONTENT * 10_000
    path.write_bytes(content)
    stream = SentFile(path, locked(content))
    arrived = bytearray(stream.read(5))
    with path.open("r+b") as same:
        same.seek(900_000)
        same.write(b"changed")
    with pytest.raises(UnfitFile, match="changed on the controller while it was sent; run the same command again"):
        sent(stream, arrived)
    assert content.startswith(arrived)


def test_the_first_reading_counts_for_all_hosts_and_the_second_is_each_hosts_own(path: Path) -> None:
    assert SentFile(path, locked()).read() == CONTENT
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(UnfitFile, match="changed on"):
        SentFile(path, locked()).read()


def test_only_regular_files_are_opened(tmp_path: Path, path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for other in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        assert refusal(other, locked()) == f"{other} on the controller can't be read: is not a regular file"
    assert refusal(tmp_path / "none", locked()) == (
        f"{tmp_path}/none is missing on the controller; put it back, or set another source"
    )
    assert refusal(path, locked(b"four")) == (f"{path} has 100 bytes on the controller, should have 4; {_NEXT}")
