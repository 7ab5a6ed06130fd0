"""The list of an export only grows, survives a kill, and says what is whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rackwright.errors import RackwrightError
from rackwright.migrate.export.export_line import ObjectLine, Part, Piece, RunLine, parse_export_line
from rackwright.migrate.export.export_list import ExportList

PART = Part(file="00000/00000001-0001.age", bytes=200, sha256="a" * 64)
PIECE = Piece(name="content", bytes=3, sha256="b" * 64, parts=(PART,))


def exported(id: str, kind: str = "files", listed: str = "one") -> ObjectLine:
    return ObjectLine(kind=kind, id=id, state="exported", at=5.0, listed=listed, pieces=(PIECE,))


def lacks(id: str, kind: str = "files") -> ObjectLine:
    return ObjectLine(kind=kind, id=id, state="missing", at=6.0, why="failed", reason="HTTP 500")


def gone(id: str, kind: str = "files") -> ObjectLine:
    return ObjectLine(kind=kind, id=id, state="gone", at=7.0)


def listed(path: Path, *lines: ObjectLine | RunLine) -> ExportList:
    found = ExportList(path).load()
    for line in lines:
        found.append(line)
    return ExportList(path).load()


def ids(found: ExportList) -> list[str]:
    return [line.id for line in found.complete()]


def test_what_was_appended_is_read_again(tmp_path: Path) -> None:
    end = RunLine(at=9.0, whole=True)
    found = listed(tmp_path, exported("file-1"), lacks("file-2"), end)
    assert ids(found) == ["file-1"]
    assert list(found.complete()) == [exported("file-1")]
    assert list(found.missing()) == [lacks("file-2")]
    assert found.last_run == end
    assert found.length == (tmp_path / "objects.jsonl").stat().st_size
    assert (tmp_path / "objects.jsonl").stat().st_mode & 0o777 == 0o600


def test_the_last_line_about_an_object_counts(tmp_path: Path) -> None:
    found = listed(tmp_path, exported("a"), exported("a", listed="two"), exported("b"), gone("b"), exported("c"))
    assert [line.listed for line in found.complete()] == ["two", "one"]
    # What is gone or missing now was exported all the same.
    found.append(lacks("c"))
    assert ids(found) == ["a"]
    assert found.earlier("files", "c") == exported("c")
    assert found.earlier("files", "b") == exported("b")
    assert found.earlier("files", "d") is None
    assert found.last_run is None


def test_a_vector_store_is_whole_if_its_files_are(tmp_path: Path) -> None:
    store = exported("vs_1", "vector stores")
    one = exported("vs_1/file-1", "vector store files")
    found = listed(tmp_path, store, one, lacks("vs_1/file-2", "vector store files"))
    assert ids(found) == ["vs_1/file-1"]
    found.append(exported("vs_1/file-2", "vector store files"))
    assert ids(found) == ["vs_1", "vs_1/file-1", "vs_1/file-2"]
    found.mark_damaged(next(start for start, line in found.contents() if line == one))
    assert ids(found) == ["vs_1/file-2"]


def test_what_a_killed_run_left_of_a_line_is_no_line(tmp_path: Path) -> None:
    whole = listed(tmp_path, exported("a"), exported("b"))
    text = (tmp_path / "objects.jsonl").read_bytes()
    for cut in range(len(text) // 2, len(text)):
        (tmp_path / "objects.jsonl").write_bytes(text[:cut])
        found = ExportList(tmp_path).load()
        assert ids(found) == ["a"]
        found.append(exported("b"))
        assert (tmp_path / "objects.jsonl").read_bytes() == text
    assert ids(whole) == ["a", "b"]


def test_a_damaged_or_newer_line_is_named(tmp_path: Path) -> None:
    listed(tmp_path, exported("a"), exported("b"))
    place = tmp_path / "objects.jsonl"
    text = place.read_text()
    for old, new in ((':"b"', ':"b'), ("export-object/1", "export-object/2"), ("00000001-0001", "../../etc/passwd")):
        place.write_text(old.join(text.split(old)[:-1]) + new + text.split(old)[-1])
        with pytest.raises(RackwrightError, match=r"objects\.jsonl line 2: a line is damaged"):
            ExportList(tmp_path).load()


def test_a_beginning_is_known_by_its_sha256(tmp_path: Path) -> None:
    first = listed(tmp_path, exported("a"))
    size, digest = first.length, first.sha256()
    later = listed(tmp_path, exported("b"))
    assert later.sha256(size) == digest
    assert later.sha256() != digest
    assert first.sha256(later.length) is None
    assert ExportList(tmp_path / "absent").load().sha256(size) is None


def test_a_link_is_no_list(tmp_path: Path) -> None:
    listed(tmp_path, exported("a"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "objects.jsonl").symlink_to(tmp_path / "objects.jsonl")
    with pytest.raises(RackwrightError, match="can't be read"):
        ExportList(tmp_path / "other").load()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_garbled_line_is_read_or_refused(data: st.DataObject) -> None:
    line = data.draw(st.sampled_from([exported("a").model_dump_json(), RunLine(at=1, whole=True).model_dump_json()]))
    start = data.draw(st.integers(0, len(line)))
    put = data.draw(
        st.sampled_from(["", "\0", "[" * 9000, "9" * 5000, "null", '"\\ud800"', "NaN"]) | st.text(max_size=9)
    )
    text = line[:start] + put + line[start + data.draw(st.integers(0, 40)) :]
    try:
        found = parse_export_line(text.encode(errors="replace"), "here")
    except RackwrightError as error:
        assert error.problems[0].where == "here"  # noqa: PT017
    else:
        found.model_dump_json()
