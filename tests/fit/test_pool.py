"""vLLM's cache, compared with the sizes that vLLM printed."""

from __future__ import annotations

from typing import Any

import pytest

from rackwright.fit.demand import Asked, Room
from rackwright.fit.pool import batch_of, pool_of
from rackwright.launch import Widths
from rackwright.shape.shape import Layers
from tests.fit.shapes import GIB, plain, tiny
from tests.fit.vllm_said import CONTEXT, SAID, Said

CPU = Room(16 * GIB, 0)


@pytest.mark.parametrize("said", SAID, ids=str)
def test_a_cache_has_as_many_tokens_as_vllm_says(said: Said):
    pool = pool_of(tiny(said.model), said.asked, CPU)
    assert pool is not None
    assert int(pool.sequences(CONTEXT, GIB) * CONTEXT) == said.tokens


def need(asked: Asked, room: Room = CPU, sequences: int = 1, **shape: Any) -> int:
    pool = pool_of(plain(**shape), asked, room)
    assert pool is not None
    return pool.need(asked.context, sequences)


def test_what_sequences_need_is_what_has_room_for_them():
    for said in SAID:
        pool = pool_of(tiny(said.model), said.asked, CPU)
        assert pool is not None
        many = int(pool.sequences(CONTEXT, GIB))
        assert pool.need(CONTEXT, many) <= GIB < pool.need(CONTEXT, many + 1)


@pytest.mark.parametrize(("tensor", "heads"), [(1, 8), (2, 4), (8, 1), (16, 1)])
def test_each_gpu_keeps_at_least_one_head(tensor: int, heads: int):
    asked = Asked("vllm", context=4096, widths=Widths(tensor=tensor))
    assert need(asked) == 4096 * 32 * heads * 256 * 2


def test_stages_of_a_pipeline_keep_their_own_layers():
    assert need(Asked("vllm", context=4096, widths=Widths(pipeline=3))) == 4096 * 11 * 8 * 256 * 2


def test_copies_keep_all():
    assert need(Asked("vllm", context=4096, widths=Widths(data=2))) == need(Asked("vllm", context=4096))


def test_a_latent_is_whole_on_every_gpu():
    latent = (Layers(kind="latent", count=61, heads=1, key=576),)
    room = Room(141 * GIB, 8)
    found = need(Asked("vllm", context=6400, widths=Widths(tensor=8)), room, layers=latent)
    assert found == 6400 * 70_272


def test_blocks_are_taken_whole():
    assert need(Asked("vllm", context=4097), Room(80 * GIB)) == 4112 * 128 * 1024
    assert need(Asked("vllm", context=4097)) == (4096 + 128) * 128 * 1024


@pytest.mark.parametrize(
    ("kind", "size"), [("fp8", 1), ("fp8_e5m2", 1), ("auto", 2), ("bfloat16", 2), ("float32", 4)]
)
def test_types_of_the_cache(kind: str, size: int):
    assert need(Asked("vllm", context=4096, key_type=kind)) == 4096 * 64 * 1024 * size


def test_an_automatic_cache_is_of_the_type_that_is_computed_with():
    assert need(Asked("vllm", context=4096, type="float32")) == 4096 * 256 * 1024


def test_a_model_that_keeps_nothing_has_no_pool():
    assert pool_of(plain(layers=(Layers(kind="none", count=4),)), Asked("vllm", context=4096), CPU) is None


@pytest.mark.parametrize(
    ("room", "tokens"),
    [(Room(24 * GIB), 2048), (Room(80 * GIB), 8192), (Room(180 * GIB), 16384), (Room(80 * GIB, 0), 2048)],
)
def test_tokens_at_once_follow_the_card(room: Room, tokens: int):
    assert batch_of(Asked("vllm", context=4096), room) == tokens
    assert batch_of(Asked("vllm", context=4096, batch=512), room) == 512
