from __future__ import annotations

import hashlib
import json

import pytest

from rackwright.shape.from_files import read_model
from rackwright.shape.template import LIMIT, NONE
from tests.fit.tiny import TINY
from tests.shape.files import Bytes, gguf, safetensors

TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
FOLDER = {
    "config.json": Bytes(json.dumps(TINY["llama"]).encode()),
    "model.safetensors": Bytes(safetensors({"lm_head.weight": ("BF16", (10, 10))})),
}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def tokenizer(template: object) -> Bytes:
    return Bytes(json.dumps({"chat_template": template}).encode())


def test_a_gguf_has_it_in_its_metadata():
    told = read_model({"m.gguf": Bytes(gguf({"general.architecture": "a", "tokenizer.chat_template": TEMPLATE}))})
    assert told.template == sha256(TEMPLATE)
    assert read_model({"m.gguf": Bytes(gguf({"general.architecture": "a"}))}).template == NONE


SEVERAL = [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]
FILES = {
    "a file of its own": ({"chat_template.jinja": Bytes(TEMPLATE.encode())}, sha256(TEMPLATE)),
    "in the tokenizer's": ({"tokenizer_config.json": tokenizer(TEMPLATE)}, sha256(TEMPLATE)),
    "both": (
        {"chat_template.jinja": Bytes(TEMPLATE.encode()), "tokenizer_config.json": tokenizer("old")},
        sha256(TEMPLATE),
    ),
    "several": ({"tokenizer_config.json": tokenizer(SEVERAL)}, sha256(json.dumps(SEVERAL, sort_keys=True))),
    "none": ({"tokenizer_config.json": Bytes(b"{}")}, NONE),
    "of another folder": ({"other/chat_template.jinja": Bytes(TEMPLATE.encode())}, NONE),
    "no JSON": ({"tokenizer_config.json": Bytes(b"nonsense")}, NONE),
    "no text": ({"tokenizer_config.json": tokenizer(5)}, NONE),
    "larger than any is": ({"tokenizer_config.json": Bytes(b"", claims=LIMIT + 1)}, NONE),
}


@pytest.mark.parametrize(("files", "expected"), FILES.values(), ids=FILES)
def test_transformers_has_it_beside_the_weights(files, expected):
    told = read_model(FOLDER | files)
    assert (told.template, told.shape.unknown) == (expected, None)


def test_files_that_are_no_model_have_none():
    assert read_model({"m.gguf": Bytes(b"nonsense")}).template == NONE
