"""A content is cut into encrypted files, in constant memory, and can be read with age alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from rackwright.errors import RackwrightError
from rackwright.migrate.export import part_files
from rackwright.migrate.export.export_line import ObjectLine
from rackwright.migrate.export.export_list import ExportList
from rackwright.migrate.export.part_files import NewFiles, decrypted, remove_strays, wrong_part
from rackwright.migrate.export.verify import verify
from rackwright.migrate.folder_key import FolderKey
from rackwright.values.secrets import Secret

IDENTITY = pyrage.x25519.Identity.generate()
KEY = FolderKey(str(IDENTITY.to_public()), Secret(str(IDENTITY)))
TEXT = bytes(range(256)) * 10


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_files, "PART", 1000)


def new(path: Path, number: int = 1) -> NewFiles:
    # Writing needs only the public key.
    return NewFiles(path, FolderKey(KEY.recipient), number)


def files(path: Path) -> list[str]:
    return sorted(str(one.relative_to(path)) for one in path.rglob("*.age"))


def test_the_parts_are_the_content(tmp_path: Path) -> None:
    piece = new(tmp_path, 1234).piece("content", [TEXT[:7], TEXT[7:2100], b"", TEXT[2100:]])
    assert (piece.bytes, piece.sha256) == (2560, hashlib.sha256(TEXT).hexdigest())
    assert [one.file for one in piece.parts] == [f"00001/00001234-000{n}.age" for n in (1, 2, 3)]
    by_age = [pyrage.decrypt((tmp_path / one.file).read_bytes(), [IDENTITY]) for one in piece.parts]
    assert b"".join(by_age) == TEXT == b"".join(decrypted(tmp_path, KEY, piece))
    assert new(tmp_path, 2).piece("empty", []).parts == ()


def test_what_is_as_before_needs_no_file(tmp_path: Path) -> None:
    before = new(tmp_path).piece("content", [TEXT])
    there = files(tmp_path)
    assert new(tmp_path, 2).piece("content", [TEXT], before) is before
    assert files(tmp_path) == there
    assert new(tmp_path, 3).piece("content", [TEXT + b"x"], before) != before


def test_a_content_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    def breaking() -> Iterator[bytes]:
        yield TEXT
        raise ConnectionError

    made = new(tmp_path)
    made.piece("object", [b"{}"])
    with pytest.raises(ConnectionError):
        made.piece("content", breaking())
    assert len(files(tmp_path)) == 1
    made.drop()
    assert files(tmp_path) == []


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    new(tmp_path).piece("content", [b"one"])
    with pytest.raises(RackwrightError, match="can't be written: File exists"):
        new(tmp_path).piece("content", [b"two"])


def test_a_part_is_checked_without_a_key(tmp_path: Path) -> None:
    piece = new(tmp_path).piece("content", [TEXT])
    assert [wrong_part(tmp_path, one) for one in piece.parts] == [None] * 3
    first, second, third = (tmp_path / one.file for one in piece.parts)
    first.write_bytes(first.read_bytes() + b"x")
    second.unlink()
    third.unlink()
    third.symlink_to(first)
    assert [wrong_part(tmp_path, one) for one in piece.parts] == [
        "was changed",
        "is missing",
        "can't be read: Too many levels of symbolic links",
    ]
    with pytest.raises(RackwrightError, match="was changed"):
        list(decrypted(tmp_path, KEY, piece))


def test_files_that_no_line_names_are_removed(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        new(tmp_path, number).piece("content", [b"text"])
    (tmp_path / "00000" / "notes.age").write_text("not ours")
    assert remove_strays(tmp_path, {2}) == 2
    assert files(tmp_path) == ["00000/00000002-0001.age", "00000/notes.age"]
    assert remove_strays(tmp_path / "absent", set()) == 0


def listed(path: Path, text: bytes = TEXT) -> ExportList:
    piece = new(path).piece("content", [text])
    found = ExportList(path).load()
    found.append(ObjectLine(kind="files", id="file-1", state="exported", at=1.0, pieces=(piece,)))
    return found


def test_a_content_that_isnt_what_the_list_says(tmp_path: Path) -> None:
    """Its parts are those of the list, but were made of something else: the list was changed."""
    assert verify(listed(tmp_path), KEY).problems == ()
    place = tmp_path / "objects.jsonl"
    place.write_text(place.read_text().replace(hashlib.sha256(TEXT).hexdigest(), "0" * 64))
    found = verify(ExportList(tmp_path).load(), KEY)
    assert (found.objects, found.failed) == (1, 1)
    assert [str(one) for one in found.problems] == [
        "files file-1: its content isn't what the list says; restore it from a copy"
    ]


def test_verification_needs_the_private_key(tmp_path: Path) -> None:
    exports = listed(tmp_path)
    other = Secret(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(RackwrightError, match="isn't the private key of the export"):
        verify(exports, FolderKey(KEY.recipient, other))
    with pytest.raises(RackwrightError, match="needs the private key"):
        verify(exports, FolderKey(KEY.recipient))
