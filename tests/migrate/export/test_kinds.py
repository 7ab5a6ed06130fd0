"""What a provider sends about an object, read with care."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.migrate.export.ids_file import MOST_SHOWN, check_ids, ids_in, parse_id
from rackwright.migrate.export.kinds import (
    KINDS,
    digest_of_item,
    files_named_in,
    id_of,
    json_line,
    name_of,
    path_of,
    size_of,
    weights_of,
)


def test_paths_have_quoted_ids() -> None:
    assert path_of(KINDS["files"], "file-1") == "/files/file-1"
    assert path_of(KINDS["vector store files"], "vs_1/file-2") == "/vector_stores/vs_1/files/file-2"
    assert path_of(KINDS["files"], "a:b=c") == "/files/a%3Ab%3Dc"


@pytest.mark.parametrize("id", ["", "..", ".a", "a/b", "a b", "a?b", "a#b", "a%2fb", "ä", "a\n", "a" * 201, 7, None])
def test_an_id_that_cant_be_used(id: object) -> None:
    assert id_of({"id": id}) is None


def test_what_is_no_name_or_size() -> None:
    assert name_of({"filename": "\x1b]0;x\x07a\nb\u202e" + "c" * 300}) == "]0;xab" + "c" * 190
    assert (name_of({"name": ["x"]}), name_of({})) == ("", "")
    assert [size_of({"bytes": one}) for one in (5, True, -1, "5", None, 1.5)] == [5, None, None, None, None, None]


def test_files_that_an_object_names() -> None:
    job = {"training_file": "file-1", "validation_file": None, "result_files": ["file-2", 7, "../x"]}
    assert files_named_in(job) == {"file-1": "training_file", "file-2": "result_files"}
    assert files_named_in({"result_files": "file-3", "input_file_id": {}}) == {}
    assert weights_of({"fine_tuned_model": "ft:small:acme::1"}) == "ft:small:acme::1"
    assert weights_of({"fine_tuned_model": "\x1b"}) is None


def test_a_line_of_json_can_be_read_again() -> None:
    for item in ({"b": "ü", "a": [1, 2.5, None]}, {"half": "\ud800"}, {"line": "a\nb\u2028c"}):
        line = json_line(item)
        assert json.loads(line) == item
        assert line.count(b"\n") == 1
    assert digest_of_item({"a": 1, "b": 2}) == digest_of_item({"b": 2, "a": 1})
    assert digest_of_item({"half": "\ud800"}) != digest_of_item({})


def test_ids_of_the_application(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_bytes(b"resp_1\r\n\n  conv_2 \nresp_3")
    assert check_ids(path) == 3
    assert [(kind.name, id) for kind, id in ids_in(path)] == [
        ("responses", "resp_1"),
        ("conversations", "conv_2"),
        ("responses", "resp_3"),
    ]


def test_all_problems_of_a_file_of_ids(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_bytes(b"resp_1\n\x1b[31m\n" + b"msg_1\n" * 30 + b"a" * 5000 + b"\n\xff\n")
    with pytest.raises(FleetError) as refused:
        check_ids(path)
    problems = refused.value.problems
    assert len(problems) == MOST_SHOWN + 1
    assert str(problems[0]) == (
        f"{path}:2: '\\x1b[31m' is no id; should be one like resp_0123 or conv_0123, of at most 200 characters"
    )
    assert problems[-1].what == "13 more lines are no ids"


@pytest.mark.parametrize("text", [b"", b"resp", b"resp_/../x", b"resp_\xc3\xa4", b"file-1", b"resp_" + b"a" * 200])
def test_what_is_no_id(text: bytes) -> None:
    assert parse_id(text) is None
