from __future__ import annotations

import struct

import pytest

from rackwright.shape.gguf import CHUNK, ITEMS, KEYS, LONGEST, read_gguf
from rackwright.shape.safetensors import TENSORS, Tensor
from rackwright.shape.source import ShapeError
from tests.shape.files import Bytes, gguf
from tests.shape.whole import with_last_at

METADATA = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.rope.freq_base": 10000.0,
    "llama.flag": True,
    "llama.per_layer": [1, 0],
    "llama.marks": [True, False],
    "tokenizer.ggml.tokens": ["a", "bc"],
}
Q4_0, Q4_K, F32, MXFP4 = 2, 12, 0, 39


@pytest.mark.parametrize("version", [2, 3])
def test_metadata_and_tensors_are_read(version: int):
    read = read_gguf(Bytes(gguf(METADATA, {"a": (F32, (4, 3)), "b": (Q4_K, (256, 2))}, version=version)))
    assert read.metadata == METADATA | {
        "llama.per_layer": (1, 0),
        "llama.marks": (True, False),
        "tokenizer.ggml.tokens": (),
    }
    assert read.lengths["tokenizer.ggml.tokens"] == 2
    assert read.tensors == (Tensor("a", "F32", 48), Tensor("b", "Q4_K", 288))


def test_blocks_are_counted_whole():
    read = read_gguf(Bytes(gguf({}, {"a": (Q4_0, (33,)), "b": (MXFP4, (32,))})))
    assert [(tensor.type, tensor.size) for tensor in read.tensors] == [("Q4_0", 36), ("MXFP4", 17)]


@pytest.mark.parametrize("alignment", [None, 64, 0, "x"])
def test_a_whole_file_has_the_last_tensors_end(alignment: object):
    """Offsets count from where the data begins, which is aligned."""
    said = {} if alignment is None else {"general.alignment": alignment}
    content = with_last_at(gguf(said, {"b": (Q4_K, (256, 2)), "a": (F32, (4, 3))}), 288)
    step = 64 if alignment == 64 else 32
    assert read_gguf(Bytes(content)).whole == -(-len(content) // step) * step + 288 + 48


def test_a_file_without_tensors_is_whole():
    content = gguf(METADATA)
    assert read_gguf(Bytes(content)).whole == len(content)


def test_a_vocabulary_is_passed_over_in_a_few_parts():
    metadata = METADATA | {"tokenizer.ggml.tokens": [f"word-{number:06}" for number in range(200_000)]}
    source = Bytes(gguf(metadata, {"a": (F32, (1,))}))
    read = read_gguf(source)
    assert read.lengths["tokenizer.ggml.tokens"] == 200_000
    assert read.tensors == (Tensor("a", "F32", 4),)
    assert [count for _, count in source.read_so_far] == [CHUNK, 2 * CHUNK, 4 * CHUNK]


def test_a_long_list_of_numbers_is_skipped_unread():
    metadata = {"general.architecture": "x", "scores": [1] * 500_000, "after": 7}
    source = Bytes(gguf(metadata))
    assert read_gguf(source).metadata == {"general.architecture": "x", "scores": (), "after": 7}
    assert len(source.read_so_far) == 2


def header(tensors: int = 0, keys: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + rest


def key(name: str, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind) + value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "ends in the middle"),
        (b"PK\x03\x04" + bytes(100), "doesn't start with GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "version"),
        (header(tensors=TENSORS + 1), "tensors; none has more"),
        (header(keys=KEYS + 1), "keys; none has more"),
        (header(keys=1), "ends in the middle"),
        (header(keys=1, rest=struct.pack("<Q", 2**60)), "bytes in a string"),
        (header(keys=1, rest=key("a", 99, b"")), "type 99"),
        (header(keys=1, rest=key("a", 9, struct.pack("<IQ", 4, ITEMS + 1))), "items in an array"),
        (header(keys=1, rest=key("a", 9, struct.pack("<IQ", 4, ITEMS))), "ends outside the file"),
        (header(keys=1, rest=key("a", 9, struct.pack("<IQ", 8, ITEMS))), "ends in the middle"),
        (header(keys=1, rest=key("a", 9, struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 9, 1) * 50)), "type 9"),
        (header(tensors=1, rest=struct.pack("<Q", 1) + b"a" + struct.pack("<I", 9)), "dimensions"),
        (gguf({}, {"a": (7777, (1,))}), "type \\(7777\\)"),
        (gguf({}, {"a": (F32, (2**40, 2**40))}), "isn't known here"),
    ],
)
def test_what_is_no_such_file_is_told(content: bytes, said: str):
    with pytest.raises(ShapeError, match=said):
        read_gguf(Bytes(content))


def test_a_header_that_goes_on_for_ever_is_left():
    endless = Bytes(header(keys=1, rest=key("a", 9, struct.pack("<IQ", 8, ITEMS))), claims=10**15)
    with pytest.raises(ShapeError, match="ends in the middle"):
        read_gguf(endless)
    assert endless.most <= LONGEST
