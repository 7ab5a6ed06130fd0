from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rackwright.fit.demand import Asked, Room
from rackwright.fit.fit import Fit
from rackwright.fit.remedies import changes, memory_that_fits
from rackwright.launch import Widths
from rackwright.shape.shape import Weights
from tests.fit.shapes import GIB, plain

VLLM = Asked("vllm", context=131_072, parallel=16)
LLAMA_CPP = Asked("llama_cpp", context=32_768, parallel=4)


def fit(asked: Asked, room: Room, **shape: Any) -> Fit:
    return Fit(plain(**shape), asked, room)


def whats(found: Fit) -> list[str]:
    return [change.what for change in changes(found)]


def test_what_fits_needs_no_change():
    assert changes(fit(replace(VLLM, context=8192), Room(80 * GIB))) == ()


def test_every_change_that_is_offered_makes_it_fit():
    for found in (
        fit(VLLM, Room(24 * GIB)),
        fit(LLAMA_CPP, Room(24 * GIB)),
        fit(VLLM, Room(12 * GIB)),
        fit(replace(VLLM, whole=16), Room(40 * GIB)),
        fit(LLAMA_CPP, Room(12 * GIB, 0)),
    ):
        assert found.fits is False
        offered = changes(found)
        assert offered
        assert all(change.fit.fits for change in offered)
        assert [change.loss for change in offered] == sorted(change.loss for change in offered)


def test_a_context_is_the_longest_that_fits():
    (first, *_) = changes(fit(replace(VLLM, context=100_000), Room(24 * GIB)))
    assert first.what == f"context: {first.fit.asked.context} instead of 100000"
    assert first.fit.asked.context > 50_000
    assert fit(replace(VLLM, context=first.fit.asked.context + 256), Room(24 * GIB)).fits is False


def test_fewer_requests_are_as_many_as_have_room():
    found = fit(LLAMA_CPP, Room(24 * GIB))
    assert whats(found)[0] == f"parallel: {found.requests} instead of 4"
    whole = fit(replace(VLLM, context=8192, whole=16), Room(24 * GIB))
    assert f"parallel: {whole.requests} instead of 16" in whats(whole)


def test_a_smaller_cache_is_named_as_each_engine_has_it():
    assert "kv_cache_dtype: fp8" in whats(fit(replace(VLLM, context=100_000), Room(24 * GIB)))
    assert "args: {cache-type-k: q8_0, cache-type-v: q8_0}" in whats(fit(LLAMA_CPP, Room(24 * GIB)))
    assert not any("cache" in what for what in whats(fit(replace(LLAMA_CPP, key_type="q4_0"), Room(12 * GIB))))


def test_more_gpus_are_as_few_as_it_takes():
    found = fit(VLLM, Room(24 * GIB))
    assert "gpus: 2 instead of 1" in whats(found)
    assert not any("gpus: 4" in what for what in whats(found))
    assert not any("gpus" in what for what in whats(fit(LLAMA_CPP, Room(12 * GIB, 0))))


def test_more_gpus_on_each_of_several_hosts_keep_its_stages():
    over = replace(VLLM, widths=Widths(tensor=1, pipeline=2))
    (wider,) = [one for one in changes(fit(over, Room(12 * GIB))) if one.what.startswith("gpus")]
    assert wider.what == "gpus: 2 instead of 1"
    assert wider.fit.asked.widths == Widths(tensor=2, pipeline=2)


def test_gpus_that_heads_do_not_divide_by_are_not_offered():
    assert not any("gpus" in what for what in whats(fit(VLLM, Room(24 * GIB), heads=7)))


@pytest.mark.parametrize(
    ("memory", "offered"),
    [
        (80 * GIB, ["gpus: 2 instead of 3", "gpus: 4 instead of 3"]),
        (8 * GIB, ["gpus: 4 instead of 3"]),
        (5 * GIB, []),
    ],
)
def test_numbers_of_gpus_that_heads_divide_by_are_offered(memory: int, offered: list[str]):
    found = fit(replace(VLLM, context=8192, widths=Widths(tensor=3)), Room(memory, 3))
    assert found.refused
    assert [what for what in whats(found) if "and" not in what] == offered


def test_smaller_weights_are_offered_where_they_are_wide():
    tight = fit(replace(VLLM, context=8192), Room(12 * GIB))
    assert "quantization: fp8" in whats(tight)
    assert "quantization: fp8" not in whats(fit(replace(VLLM, context=8192), Room(12 * GIB), quantization="awq"))


def test_where_no_single_change_does_two_are_offered():
    found = fit(replace(VLLM, context=131_072), Room(11 * GIB), heads=1)
    assert whats(found)
    assert all(", and " in what for what in whats(found))


def test_where_nothing_helps_nothing_is_offered():
    huge = Weights(total=900 * GIB, stored={"I32": 900 * GIB})
    found = fit(VLLM, Room(11 * GIB), weights=huge, quantization="awq")
    assert changes(found) == ()
    assert memory_that_fits(found)


def test_a_cache_that_is_said_outright_and_too_small_is_made_larger():
    found = fit(replace(VLLM, context=8192, cache=GIB // 2), Room(24 * GIB))
    assert whats(found)[0] == "kv_cache_memory: 1024MiB instead of 512MiB"
    assert not any(what.startswith("cache") for what in whats(fit(replace(VLLM, cache=GIB), Room(12 * GIB))))


@pytest.mark.parametrize("asked", [VLLM, LLAMA_CPP, replace(VLLM, cache=16 * GIB)])
def test_the_memory_that_is_named_is_what_it_takes(asked: Asked):
    found = fit(asked, Room(20 * GIB))
    memory = memory_that_fits(found)
    assert memory
    assert fit(asked, Room(memory)).fits
    assert fit(asked, Room(memory - 10**6)).fits is False
    assert memory_that_fits(fit(asked, Room(20 * GIB), unknown="?", layers=())) is None


def test_a_card_that_is_large_enough_to_take_larger_batches_needs_room_for_them():
    """From 70 GiB up, four times as many tokens go through the model at once."""
    found = fit(replace(VLLM, context=32_768, whole=13), Room(20 * GIB))
    memory = memory_that_fits(found)
    assert memory
    assert memory > 70 * GIB
    assert fit(found.asked, Room(memory)).fits
    assert fit(found.asked, Room(69 * GIB)).fits is False


def test_no_memory_helps_where_the_cache_is_said_outright_and_too_small():
    assert memory_that_fits(fit(replace(VLLM, context=8192, cache=GIB // 2), Room(24 * GIB))) is None
