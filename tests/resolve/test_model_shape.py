"""Shapes in the lock: read on this machine, or by range requests from a stand-in hub on loopback."""

from __future__ import annotations

import hashlib
import json
import re
from functools import partial
from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.fleet.lock import Lock, lock_digest
from rackwright.fleet.lock_file import read_lock, write_lock
from rackwright.resolve.lock import resolve_lock
from rackwright.resolve.model_files import choose
from rackwright.resolve.model_shape import model_facts
from rackwright.resolve.web import Web
from rackwright.route import Route
from rackwright.values.secrets import Secret
from tests.fit.tiny import TINY
from tests.fleet.fleets import make_fleet
from tests.shape.files import gguf, safetensors
from tests.shape.whole import whole_gguf
from tests.stand_in_hub import COMMIT, StandInHub

TOLD = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "tokenizer.ggml.tokens": [f"word-{number}" for number in range(1000)],
}
GGUF = gguf(TOLD, {"a": (0, (10,))})
WHOLE_GGUF = whole_gguf(TOLD, {"a": (0, (10,))})
WHOLE = {
    "config.json": json.dumps(TINY["llama"]).encode(),
    "model-1.safetensors": safetensors({"model.embed_tokens.weight": ("BF16", (512, 256))}),
    "model-2.safetensors": safetensors({"lm_head.weight": ("BF16", (512, 256))}),
    "tokenizer.json": b"{}",
}
VLLM = {"kind": "vllm", "version": "0.32.0", "build": "file:wheels"}


@pytest.fixture
def hub():
    with StandInHub({"acme/tiny": {"m.gguf": GGUF + b"w" * 2**25}, "acme/whole": WHOLE}) as hub:
        yield hub


@pytest.fixture(autouse=True)
def archive(tmp_path: Path):
    (tmp_path / "llama.tar.gz").write_bytes(b"archive")


def fleet_of(tmp_path: Path, hub: StandInHub | None, source: str, **sections: object):
    runtime = {"kind": "llama_cpp", "version": "b1", "build": "file:llama.tar.gz"}
    site = hub.site if hub else {}
    return make_fleet(tmp_path / "site.yml", source=source, runtime=runtime, downloads={**site, **sections})


def without_shapes(lock: Lock) -> Lock:
    models = {name: model.model_copy(update={"shape": None, "template": None}) for name, model in lock.models.items()}
    return lock.model_copy(update={"models": models})


def test_a_hubs_gguf_is_read_by_its_beginning(tmp_path, hub):
    lock = resolve_lock(fleet_of(tmp_path, hub, "hf:acme/tiny"), None)
    shape = lock.models["assistant"].shape
    assert (shape.architecture, shape.unknown, shape.layers[0].count) == ("llama", None, 2)
    assert hub.sent < 2 * 2**20


def test_a_hubs_safetensors_are_read_by_their_headers(hub):
    from rackwright.fleet.source import HubSource
    from rackwright.resolve.hub import Hub

    web = hub.web
    found = Hub(hub.url, web).settle(
        HubSource("acme/whole"), where="x", choice=partial(choose, glob=None, loads=(".safetensors",))
    )
    told = model_facts(found.files, web, None)
    assert told
    shape = told.shape
    assert (shape.unknown, shape.weights.total, shape.weights.embedding) == (None, 2 * 262_144, 262_144)


def test_a_file_of_the_controller_is_read_in_place(tmp_path):
    (tmp_path / "m.gguf").write_bytes(WHOLE_GGUF)
    lock = resolve_lock(fleet_of(tmp_path, None, "file:m.gguf"), None)
    assert lock.models["assistant"].shape.weights.total == 40


def test_an_answer_of_an_older_lock_gets_its_shape_and_stays_as_it_is(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub, "hf:acme/tiny")
    lock = resolve_lock(fleet, None)
    hub.commits["main"] = "2" * 40
    hub.asked.clear()
    assert resolve_lock(fleet, without_shapes(lock)) == lock
    assert hub.asked == [f"GET /acme/tiny/resolve/{COMMIT}/m.gguf"]
    hub.asked.clear()
    assert resolve_lock(fleet, lock) == lock
    assert hub.asked == []


def test_the_chat_template_of_the_files_is_read_with_their_shape(tmp_path, hub):
    hub.repositories["acme/tiny"] = {"m.gguf": gguf({**TOLD, "tokenizer.chat_template": "{{ messages }}"})}
    fleet = fleet_of(tmp_path, hub, "hf:acme/tiny")
    lock = resolve_lock(fleet, None)
    model = lock.models["assistant"]
    assert model.template == hashlib.sha256(b"{{ messages }}").hexdigest()
    # A model that already has a shape keeps it.
    shape = model.shape.model_copy(update={"hidden": 5})
    old = lock.model_copy(
        update={"models": {"assistant": model.model_copy(update={"shape": shape, "template": None})}}
    )
    again = resolve_lock(fleet, old).models["assistant"]
    assert (again.template, again.shape) == (model.template, shape)


def test_a_model_without_a_template_is_not_asked_again(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub, "hf:acme/tiny")
    lock = resolve_lock(fleet, None)
    assert lock.models["assistant"].template == hashlib.sha256().hexdigest()
    hub.asked.clear()
    assert resolve_lock(fleet, lock) == lock
    assert hub.asked == []


def test_other_files_have_a_shape_of_their_own(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub, "hf:acme/tiny")
    lock = resolve_lock(fleet, None)
    other = gguf({"general.architecture": "llama", "llama.block_count": 3}, {"a": (0, (20,))})
    hub.repositories["acme/tiny"] = {"m.gguf": other + b"w" * 2**24}
    upgraded = resolve_lock(fleet, lock, upgrade=True)
    assert (lock.models["assistant"].shape.weights.total, upgraded.models["assistant"].shape.weights.total) == (
        40,
        80,
    )


def test_a_server_that_gives_no_parts_leaves_it_out_and_is_asked_again(tmp_path, hub):
    hub.ranges = False
    fleet = fleet_of(tmp_path, hub, "hf:acme/tiny")
    lock = resolve_lock(fleet, None)
    assert lock.models["assistant"].shape is None
    # Only what the socket buffers contain at hang-up, not the file.
    assert hub.sent < 2**24
    hub.ranges = True
    assert resolve_lock(fleet, lock).models["assistant"].shape


def test_a_file_that_is_none_is_told_and_not_asked_for_again(tmp_path, hub):
    hub.repositories["acme/tiny"] = {"m.gguf": b"nonsense" * 100}
    fleet = fleet_of(tmp_path, hub, "hf:acme/tiny")
    lock = resolve_lock(fleet, None)
    assert "m.gguf doesn't start with GGUF" in lock.models["assistant"].shape.unknown
    hub.asked.clear()
    assert resolve_lock(fleet, lock) == lock
    assert hub.asked == []


def test_a_file_of_the_controller_that_changed_since_is_not_read(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(WHOLE_GGUF)
    fleet = fleet_of(tmp_path, None, "file:m.gguf")
    lock = resolve_lock(fleet, None)
    path.write_bytes(WHOLE_GGUF + b"more")
    assert resolve_lock(fleet, without_shapes(lock)).models["assistant"].shape is None
    path.unlink()
    assert resolve_lock(fleet, without_shapes(lock)).models["assistant"].shape is None


def test_the_token_goes_with_it(tmp_path, hub, monkeypatch):
    hub.token = "hf_secret"
    monkeypatch.setenv("HF_TEST_TOKEN", "hf_secret")
    fleet = fleet_of(tmp_path, hub, "hf:acme/tiny", hub_token="env:HF_TEST_TOKEN")
    assert resolve_lock(fleet, None).models["assistant"].shape
    assert set(hub.tokens) == {"Bearer hf_secret"}


def test_a_lock_with_shapes_is_of_the_same_digest_as_one_without(tmp_path, hub):
    lock = resolve_lock(fleet_of(tmp_path, hub, "hf:acme/tiny"), None)
    bare = without_shapes(lock)
    assert lock != bare
    assert lock_digest(lock) == lock_digest(bare)


def test_a_lock_without_shapes_is_written_as_before_there_were_any(tmp_path, hub):
    lock = resolve_lock(fleet_of(tmp_path, hub, "hf:acme/tiny"), None)
    write_lock(tmp_path / "with.lock", lock)
    assert read_lock(tmp_path / "with.lock") == lock
    write_lock(tmp_path / "without.lock", without_shapes(lock))
    assert "shape:" not in (tmp_path / "without.lock").read_text()
    assert read_lock(tmp_path / "without.lock") == without_shapes(lock)


def test_parts_are_asked_for_as_downloads_go(hub):
    """Through the fleet file's proxy: nothing listens there, so no part arrives."""
    hub.plain["a"] = b"0123456789"
    assert hub.web.part(f"{hub.url}/plain/a", 2, 3) == b"234"
    assert hub.web.part(f"{hub.url}/moved/a", 8, 100) == b"89"
    proxied = Web(Route(proxy="http://127.0.0.1:9"))
    with pytest.raises(RackwrightError, match="proxy"):
        proxied.part(f"{hub.url}/plain/a", 2, 3)
    assert (
        Web(Route(proxy="http://127.0.0.1:9", no_proxy=("127.0.0.1",), ca_bundle=hub.site["ca_bundle"])).part(
            f"{hub.url}/plain/a", 0, 1
        )
        == b"0"
    )


@pytest.mark.parametrize(
    ("path", "said"), [("plain/a", "doesn't support range requests"), ("plain/none", "answers 404")]
)
def test_a_server_that_gives_no_part_is_told(hub, path: str, said: str):
    hub.plain["a"] = b"0123456789"
    hub.ranges = False
    with pytest.raises(RackwrightError, match=re.escape(said)):
        hub.web.part(f"{hub.url}/{path}", 0, 3, token=Secret("x"))


def test_a_server_that_gives_more_than_was_asked_for_is_left(hub):
    hub.plain["a"] = b"0123456789"
    hub.generous = True
    with pytest.raises(RackwrightError, match="more bytes than requested"):
        hub.web.part(f"{hub.url}/plain/a", 0, 3)
