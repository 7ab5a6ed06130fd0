from __future__ import annotations

import json
from pathlib import Path

import pytest

from rackwright.errors import FleetError, RackwrightError, UsageError
from rackwright.launch import Widths
from rackwright.lifecycle.fit.by_source import asked_of_source, shape_of_source
from tests.fit.shapes import plain
from tests.fit.tiny import TINY
from tests.fleet.fleets import make_fleet
from tests.shape.files import gguf, safetensors
from tests.stand_in_hub import StandInHub

GGUF = gguf({"general.architecture": "mystery"}, {"a": (0, (10,))})
WHOLE = {
    "config.json": json.dumps(TINY["llama"]).encode(),
    "model.safetensors": safetensors({"model.embed_tokens.weight": ("BF16", (512, 256))}),
    "tokenizer.json": b"{}" * 1000,
}


def test_a_file_of_this_machine(tmp_path: Path):
    path = tmp_path / "m.gguf"
    path.write_bytes(GGUF)
    shape, engine = shape_of_source(f"file:{path}", None, None)
    assert (engine, shape.weights.total, shape.architecture) == ("llama_cpp", 40, "mystery")


def test_a_folder_of_this_machine(tmp_path: Path):
    for name, content in WHOLE.items():
        (tmp_path / name).write_bytes(content)
    shape, engine = shape_of_source(f"file:{tmp_path}", None, None)
    assert (engine, shape.weights.total, shape.unknown) == ("vllm", 262_144, None)


def test_a_repository_over_the_fleets_own_hub(tmp_path: Path):
    """Only headers and the configuration are fetched, and nothing is hashed."""
    with StandInHub({"acme/both": {**WHOLE, "m.gguf": GGUF}}) as hub:
        fleet = make_fleet(tmp_path / "site.yml", downloads=hub.site)
        shape, engine = shape_of_source("hf:acme/both", fleet, None)
        assert (engine, shape.unknown) == ("vllm", None)
        assert not any("tokenizer" in asked for asked in hub.asked)
        assert shape_of_source("hf:acme/both", fleet, "llama_cpp")[1] == "llama_cpp"
        with pytest.raises(FleetError, match="hf:acme/none"):
            shape_of_source("hf:acme/none", fleet, None)


@pytest.mark.parametrize("written", ["acme/tiny", "hf:acme", "http://x/m.gguf", ""])
def test_what_is_no_source_is_told(written: str):
    with pytest.raises(UsageError, match=r"is not a source; should be hf:OWNER/REPO"):
        shape_of_source(written, None, None)


def test_what_is_no_model_is_told(tmp_path: Path):
    with pytest.raises(RackwrightError, match="can't be read"):
        shape_of_source(f"file:{tmp_path / 'none.gguf'}", None, None)
    (tmp_path / "weights.bin").write_bytes(b"pickle")
    with pytest.raises(FleetError, match="pickled"):
        shape_of_source(f"file:{tmp_path}", None, None)


def test_where_nothing_is_said_a_request_has_8192_tokens_or_what_it_is_trained_for():
    vllm = asked_of_source(plain(), "vllm", gpus=2, context=None, parallel=None)
    assert (vllm.context, vllm.parallel, vllm.must_hold, vllm.widths) == (8192, 16, 1, Widths(tensor=2))
    small = asked_of_source(plain(context=2048), "llama_cpp", gpus=0, context=None, parallel=None)
    assert (small.context, small.parallel, small.must_hold, small.widths) == (2048, 4, 4, Widths())
    said = asked_of_source(plain(), "vllm", gpus=1, context=4096, parallel=3)
    assert (said.context, said.parallel, said.must_hold) == (4096, 3, 3)
