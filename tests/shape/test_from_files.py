from __future__ import annotations

import json
from pathlib import Path

import pytest

from rackwright.shape.from_files import read_shape
from rackwright.shape.shape import ModelShape
from rackwright.shape.source import FileSource
from tests.fit.tiny import TINY
from tests.shape.files import Bytes, gguf, safetensors

CONFIG = Bytes(json.dumps(TINY["llama"]).encode())
ONE = Bytes(safetensors({"model.embed_tokens.weight": ("BF16", (10, 10))}))
TWO = Bytes(safetensors({"lm_head.weight": ("BF16", (10, 10))}))


def _config(name: str, **changed: object) -> Bytes:
    return Bytes(json.dumps(TINY[name] | changed).encode())


def _gguf(window: int) -> Bytes:
    told = {"block_count": 2, "embedding_length": 64, "attention.head_count": 2, "attention.sliding_window": window}
    return Bytes(gguf({"general.architecture": "gemma2"} | {f"gemma2.{name}": value for name, value in told.items()}))


def test_all_files_of_safetensors_count():
    shape = read_shape({"model-2.safetensors": TWO, "config.json": CONFIG, "model-1.safetensors": ONE})
    assert (shape.unknown, shape.weights.total, shape.weights.embedding, shape.weights.head) == (None, 400, 200, 200)


def test_mistrals_second_copy_is_left_out():
    shape = read_shape({"model.safetensors": ONE, "consolidated.safetensors": ONE, "config.json": CONFIG})
    assert shape.weights.total == 200


def test_a_second_copy_alone_is_read():
    assert read_shape({"consolidated.safetensors": ONE, "config.json": CONFIG}).weights.total == 200


def test_a_file_on_disk_is_read_in_place(tmp_path: Path):
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf({"general.architecture": "llama"}, {"a": (0, (10,))}))
    assert read_shape({"m.gguf": FileSource(path)}).weights.total == 40


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"m.gguf": Bytes(b"GGUF" * 100)}, "m.gguf is GGUF of version"),
        ({"m-00001-of-00002.gguf": Bytes(b"no"), "m-00002-of-00002.gguf": ONE}, "m-00001-of-00002.gguf"),
        ({"model.safetensors": ONE}, "no config.json"),
        ({"model.safetensors": ONE, "config.json": Bytes(b"[]")}, "config.json is not a JSON object"),
        ({"model.safetensors": ONE, "config.json": Bytes(b"", claims=2**40)}, "config.json is larger than 4 MiB"),
        ({"model.safetensors": Bytes(b"x" * 100), "config.json": CONFIG}, "model.safetensors has a header"),
        ({"config.json": CONFIG}, "no weights"),
        (
            {"model.safetensors": ONE, "config.json": _config("mistral-window", sliding_window=2**40)},
            "numbers that no model has: Layers window is 1099511627776",
        ),
        (
            {"model.safetensors": ONE, "config.json": _config("jamba", mamba_d_conv=0)},
            "numbers that no model has: State taps is -1",
        ),
        ({"m.gguf": _gguf(2**32 - 1)}, "numbers that no model has: Layers window is 4294967295"),
    ],
)
def test_files_that_are_not_what_they_are_called_give_a_shape_that_says_so(files: dict[str, Bytes], why: str):
    shape = read_shape(files)
    assert why in (shape.unknown or "")
    weights = [source.size for path, source in files.items() if path.endswith((".gguf", ".safetensors"))]
    assert shape.weights.total == sum(weights)


def test_a_shape_survives_being_stored():
    shape = read_shape({"model.safetensors": ONE, "config.json": CONFIG})
    assert ModelShape.model_validate(shape.model_dump(mode="json", exclude_none=True)) == shape
