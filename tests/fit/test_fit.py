from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rackwright.fit.demand import Asked, Room
from rackwright.fit.fit import Fit
from rackwright.fit.remedies import changes
from rackwright.launch import Widths
from rackwright.shape.shape import Layers, State
from tests.fit.shapes import GIB, plain

GPU = Room(24 * GIB)
VLLM = Asked("vllm", context=8192, parallel=16)
LLAMA_CPP = Asked("llama_cpp", context=8192, parallel=4)


def fit(asked: Asked = VLLM, room: Room = GPU, **shape: Any) -> Fit:
    return Fit(plain(**shape), asked, room)


def test_figures_add_up():
    found = fit()
    assert found.budget == int(24 * GIB * 0.9)
    assert found.weights == 10 * GIB
    assert found.cache_room == found.budget - found.weights - found.overhead
    assert found.cache == found.per_request == GIB
    assert found.left == found.cache_room - GIB
    assert found.taken == found.weights + found.overhead + GIB
    assert (found.fits, found.per_token, found.close) == (True, 128 * 1024, False)


def test_vllm_must_have_room_for_one_request_and_llama_cpp_for_all():
    assert (fit(VLLM).cache, fit(LLAMA_CPP).cache) == (GIB, 4 * GIB)
    assert fit(replace(VLLM, whole=16)).cache == 16 * GIB


def test_requests_that_have_room_are_those_of_the_whole_context():
    found = fit()
    room = found.cache_room // GIB
    assert found.requests == room
    assert fit(replace(VLLM, whole=room)).fits
    assert fit(replace(VLLM, whole=room + 1)).fits is False
    many = fit(LLAMA_CPP).requests
    assert many
    assert fit(replace(LLAMA_CPP, parallel=many)).fits
    assert fit(replace(LLAMA_CPP, parallel=many + 1)).fits is False


@pytest.mark.parametrize("asked", [VLLM, replace(LLAMA_CPP, parallel=1)])
def test_the_longest_context_fits_and_a_longer_one_does_not(asked: Asked):
    longest = fit(asked).longest
    assert longest
    assert fit(replace(asked, context=longest)).fits
    assert fit(replace(asked, context=longest + 256)).fits is False


def test_no_context_is_longer_than_what_it_was_trained_for():
    assert fit(room=Room(200 * GIB)).longest == 131_072
    assert fit(room=Room(200 * GIB), context=5000).longest == 5000


def test_a_cache_that_is_said_outright_is_all_there_is():
    found = fit(replace(VLLM, cache=2 * GIB))
    assert (found.budget, found.cache_room, found.requests, found.longest) == (24 * GIB, 2 * GIB, 2, 16_384)
    assert found.taken == 10 * GIB + found.overhead + 2 * GIB
    assert fit(replace(VLLM, cache=GIB // 2)).fits is False
    small = fit(replace(VLLM, cache=20 * GIB))
    assert small.cache_room < 20 * GIB


def test_weights_that_are_too_large_do_not_fit_whatever_the_cache():
    found = fit(room=Room(8 * GIB))
    assert (found.fits, found.requests, found.longest) == (False, 0, 0)
    assert found.cache_room < 0


def test_what_is_not_known_is_neither():
    found = fit(unknown="no idea", layers=())
    assert (found.fits, found.cache, found.longest, found.requests, found.per_token, found.left) == (None,) * 6
    assert found.unknown == "no idea"
    assert fit(replace(VLLM, uncertain="odd args")).fits is None


def test_what_is_not_known_does_not_fit_where_its_weights_do_not():
    assert fit(room=Room(8 * GIB), unknown="no idea", layers=()).fits is False


def test_heads_must_come_out_even():
    found = fit(replace(VLLM, widths=Widths(tensor=3)), Room(80 * GIB, 3))
    assert found.fits is False
    assert found.refused == "its 32 attention heads can't be divided by tensor width 3"


def test_vllm_starts_with_no_longer_context_than_the_model_has():
    asked, roomy = replace(VLLM, context=131_073), Room(800 * GIB)
    found = fit(asked, roomy)
    assert found.fits is False
    assert found.refused == "its config.json allows 131072 tokens at most, and context asks for 131073"
    assert [change.what for change in changes(found)] == ["context: 131072 instead of 131073"]
    for fine in (replace(asked, context=131_072), replace(asked, beyond=True), replace(LLAMA_CPP, context=131_073)):
        assert fit(fine, roomy).fits
    assert fit(asked, roomy, context=None).fits


@pytest.mark.parametrize(("tensor", "evenly"), [(2, True), (4, False), (5, True), (8, False), (20, True)])
def test_heads_of_keys_must_come_out_even_too(tensor: int, evenly: bool):
    """microsoft/phi-4 has 40 heads, and 10 heads for keys and values."""
    layers = (Layers(kind="full", count=40, heads=10, key=128, value=128),)
    found = fit(replace(VLLM, widths=Widths(tensor=tensor)), Room(80 * GIB, tensor), heads=40, layers=layers)
    assert found.fits is evenly
    assert ("10 heads of keys" in (found.refused or "")) is not evenly


@pytest.mark.parametrize(
    ("window", "bytes_a_token"), [(4096, 0), (8191, 0), (8192, 128 * 1024), (262_144, 128 * 1024), (None, 128 * 1024)]
)
def test_a_window_that_no_request_fills_grows_with_each_token(window: int | None, bytes_a_token: int):
    """microsoft/Phi-3.5-mini-instruct has a window twice as long as its context."""
    layers = (Layers(kind="sliding", count=32, heads=8, key=128, value=128, window=window),)
    assert fit(layers=layers).per_token == bytes_a_token


def test_states_cost_each_request_and_no_token():
    state = State(channels=8192, taps=3, recurrent=2**20, precision="float32")
    layers = (Layers(kind="full", count=4, heads=8, key=128, value=128), Layers(kind="state", count=28, state=state))
    found = fit(layers=layers)
    assert found.per_token == 16 * 1024
    assert (found.per_request or 0) > 8192 * 16 * 1024 + 28 * (4 * 2**20)


def test_a_model_that_keeps_nothing_holds_any_number():
    found = fit(layers=(Layers(kind="none", count=4),))
    assert (found.fits, found.cache, found.per_token) == (True, 0, 0)


def test_by_how_little_it_does_not_fit_is_told_apart():
    enough = fit(room=Room(20 * GIB))
    assert enough.fits
    lack = enough.overhead // 4
    close = fit(room=Room(int((enough.taken - lack) / 0.9)))
    assert (close.fits, close.close) == (False, True)
    far = fit(room=Room(int((enough.taken - enough.overhead) / 0.9)))
    assert (far.fits, far.close) == (False, False)


def test_on_the_processor_all_of_the_memory_counts():
    found = fit(LLAMA_CPP, Room(16 * GIB, 0))
    assert (found.budget, found.weights) == (16 * GIB, 10 * GIB)
