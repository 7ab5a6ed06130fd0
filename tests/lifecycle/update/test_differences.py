from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rackwright.cli.render.model_text import difference_text
from rackwright.fleet.lock import AdapterLock, ModelLock, model_digest
from rackwright.lifecycle.update.differences import Pair, difference
from rackwright.shape.shape import ModelShape, Weights
from rackwright.values.file import File
from tests.fleet.fleets import make_fleet

VLLM = {"kind": "vllm", "version": "1.0"}


def file(path: str, size: int, content: str) -> File:
    return File(path=path, size=size, sha256=hashlib.sha256(content.encode()).hexdigest(), url=f"https://hub/{path}")


def entry(*files: File, **known: Any) -> ModelLock:
    known = {"source": "hf:acme/tiny"} | known
    return ModelLock(digest=model_digest(files), files=files, **known)


def shape(total: int, context: int | None = None, heads: int = 8, **stored: int) -> ModelShape:
    weights = Weights(total=total, stored=stored or {"BF16": total})
    return ModelShape(architecture="llama", weights=weights, context=context, heads=heads)


BEFORE = entry(file("config.json", 10, "a"), file("m-1.safetensors", 500, "b"), file("old.json", 5, "c"))
AFTER = entry(
    file("config.json", 11, "d"),
    file("moved.safetensors", 500, "b"),
    file("m-2.safetensors", 700, "e"),
    license="mit",
)


def of(before: ModelLock | None, after: ModelLock, **sections: Any):
    return difference(make_fleet(Path("/x.yml"), **sections), before, after, "assistant")


def test_files_are_told_that_come_go_and_change_and_what_must_be_fetched():
    found = of(BEFORE, AFTER)
    assert [(change.what, change.path, change.bytes) for change in found.files] == [
        ("changed", "config.json", Pair(10, 11)),
        ("removed", "m-1.safetensors", Pair(500, None)),
        ("added", "m-2.safetensors", Pair(None, 700)),
        ("added", "moved.safetensors", Pair(None, 500)),
        ("removed", "old.json", Pair(5, None)),
    ]
    assert (found.bytes, found.new) == (Pair(515, 1211), 711)
    assert found.digest == Pair(BEFORE.digest, AFTER.digest)
    assert found.license == Pair(None, "mit")
    assert found.differs


def test_the_same_files_are_no_difference_whatever_their_commit():
    found = of(BEFORE, BEFORE.model_copy(update={"revision": "c" * 40, "template": "d" * 64}))
    assert (found.differs, found.files, found.new, found.revision.changed) == (False, (), 0, True)


def test_without_an_entry_so_far_all_is_new():
    found = of(None, BEFORE)
    assert (found.new, found.bytes, found.digest.before) == (515, Pair(None, 515), None)
    assert {change.what for change in found.files} == {"added"}


def test_adapters_files_count():
    files = (file("adapter_model.safetensors", 30, "x"),)
    adapter = AdapterLock(source="hf:acme/sql", digest=model_digest(files), files=files, rank=8)
    found = of(BEFORE, BEFORE.model_copy(update={"adapters": {"acme/sql": adapter}}))
    assert [(change.what, change.path) for change in found.files] == [("added", "acme/sql/adapter_model.safetensors")]
    assert (found.new, found.differs, found.digest.changed) == (30, True, False)


def test_shapes_tell_weights_types_and_the_longest_context():
    before = BEFORE.model_copy(update={"shape": shape(100, 8192), "template": "a" * 64})
    after = AFTER.model_copy(update={"shape": shape(90, 2048, Q4_K=60, F32=10, Q6_K=20), "template": "b" * 64})
    found = of(before, after)
    assert (found.weights, found.types) == (Pair(100, 90), Pair("BF16", "Q4_K, Q6_K, F32"))
    assert (found.trained, found.context, found.beyond) == (Pair(8192, 2048), 4096, True)
    assert found.template == Pair("a" * 64, "b" * 64)
    assert not of(after, before).beyond
    assert (of(BEFORE, AFTER).weights, of(BEFORE, AFTER).beyond) == (Pair(None, None), False)


@pytest.mark.parametrize(
    ("trained", "runtime", "refused"),
    [
        (2048, VLLM, ("its config.json allows 2048 tokens at most, and context asks for 4096",)),
        (8192, VLLM, ()),
        (2048, None, ()),
    ],
)
def test_what_stands_in_the_way_whatever_the_memory_is_told(trained, runtime, refused):
    after = AFTER.model_copy(update={"shape": shape(90, trained)})
    assert of(BEFORE, after, runtime=runtime).refused == refused


@pytest.mark.parametrize(("task", "vectors"), [("generate", False), ("embed", True)])
def test_an_embedding_model_is_known_by_its_vectors(task: str, *, vectors: bool) -> None:
    asked = make_fleet(Path("/x.yml")).file.models["assistant"].model_dump(mode="json") | {"task": task}
    found = of(BEFORE, AFTER, models={"assistant": asked})
    assert found.vectors is vectors
    assert any("can't be compared" in line for line in difference_text(found)) is vectors
    assert not any("can't be compared" in line for line in difference_text(replace(found, digest=Pair(None, "a"))))
