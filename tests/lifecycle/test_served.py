"""An adapter is served like a model's own names: it is proven and shown, and its source's server is asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rackwright.fleet.lock import AdapterLock, Lock, ModelLock, model_digest
from rackwright.lifecycle.check.procedure import _servers
from rackwright.lifecycle.status.replicas import replica_status
from rackwright.lifecycle.status.traffic import Traffic
from rackwright.lifecycle.verify.procedure import _names
from rackwright.values.file import File
from tests.fleet.fleets import make_fleet

RUNTIME = {"kind": "vllm", "version": "1.0", "adapters": {"support": "hf:acme/support"}}
FLEET = make_fleet(Path("acme.yml"), source="file:model", runtime=RUNTIME)
FILES = (File(path="model.safetensors", size=1, sha256="a" * 64, url="https://models.acme.internal/m"),)
ADAPTER = AdapterLock(source="hf:acme/support", digest=model_digest(FILES), files=FILES, rank=8)
MODEL = ModelLock(source="file:model", digest="b" * 64, files=(), adapters={"support": ADAPTER})
LOCK = Lock(fleet="acme", models={"assistant": MODEL}, runtimes={}, ports={})
SITE: Any = SimpleNamespace(fleet=FLEET, lock=LOCK)


def test_every_name_is_proven() -> None:
    assert list(_names(SITE)) == ["assistant", "support"]


def test_every_name_is_shown() -> None:
    surveyed: Any = SimpleNamespace(hosts={})
    shown = replica_status(SITE, surveyed, Traffic({}, {}), {}, None, FLEET.replicas[0])
    assert shown.names == ("assistant", "support")


def test_what_an_adapter_comes_from_is_asked_for() -> None:
    assert [asked.url for asked in _servers(FLEET, LOCK)] == [
        "https://huggingface.co",
        "https://models.acme.internal",
    ]
