from __future__ import annotations

import json
import struct

import pytest

from rackwright.shape.safetensors import FIRST, LIMIT, Tensor, parse_object, read_safetensors
from rackwright.shape.source import ShapeError
from tests.shape.files import Bytes, safetensors


def test_tensors_have_their_exact_bytes():
    content = safetensors({"a.weight": ("BF16", (3, 5)), "b.weight": ("I32", (2,)), "scale": ("F32", ())})
    assert read_safetensors(Bytes(content)) == (
        Tensor("a.weight", "BF16", 30),
        Tensor("b.weight", "I32", 8),
        Tensor("scale", "F32", 4),
    )


def test_weights_are_not_read():
    source = Bytes(safetensors({"a": ("F32", (1000, 1000))}))
    read_safetensors(source)
    assert source.read_so_far == [(0, FIRST)]


def test_a_long_header_is_read_on():
    source = Bytes(safetensors({f"model.layers.{number}.a.weight": ("U8", (1,)) for number in range(5000)}))
    assert len(read_safetensors(source)) == 5000
    assert len(source.read_so_far) == 2
    assert sum(count for _, count in source.read_so_far) < len(source.content)


def whole(header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(64)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "isn't a safetensors file"),
        (b"\xff" * 100, "isn't a safetensors file"),
        (struct.pack("<Q", 1000) + b"{}", "isn't a safetensors file"),
        (whole(b"not json at all"), "not valid JSON"),
        (whole([1]), "not a JSON object"),
        (whole(b'{"a":' * 2000 + b"1" + b"}" * 2000), "nested too deep"),
        (whole(b"[" * 100_000), "nested too deep"),
        (whole({"a": 1}), "don't follow the format"),
        (whole({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}), "don't follow the format"),
        (whole({"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 4]}}), "don't follow the format"),
        (whole({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 1.5]}}), "don't follow the format"),
        (whole({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2, 4]}}), "don't follow the format"),
        (whole({"a": {"dtype": 4, "shape": [1], "data_offsets": [0, 4]}}), "don't follow the format"),
        (whole({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}), "ends outside the file"),
        (whole({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**50]}}), "ends outside the file"),
    ],
)
def test_what_is_no_such_file_is_told(content: bytes, said: str):
    with pytest.raises(ShapeError, match=said):
        read_safetensors(Bytes(content))


def test_a_header_that_claims_to_be_huge_is_not_read():
    source = Bytes(struct.pack("<Q", LIMIT + 1) + b" " * FIRST, claims=10**15)
    with pytest.raises(ShapeError, match="isn't a safetensors file"):
        read_safetensors(source)
    assert source.most <= FIRST


def test_a_file_that_ends_in_its_header_is_told():
    content = safetensors({f"layers.{number}": ("U8", (1,)) for number in range(9000)})
    with pytest.raises(ShapeError, match=f"ends after {FIRST + 10} bytes"):
        read_safetensors(Bytes(content[: FIRST + 10], claims=len(content)))


def test_brackets_in_names_do_not_count_as_much():
    assert parse_object(b'{"a[0]": {"b": [[1]]}}') == {"a[0]": {"b": [[1]]}}
