"""Busiest windows, sizes, and the bodies that are replayed."""

from __future__ import annotations

import tracemalloc
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rackwright.migrate.capacity import busiest as busiest_module
from rackwright.migrate.capacity.answer_lengths import AnswerLengths
from rackwright.migrate.capacity.body import body_of
from rackwright.migrate.capacity.busiest import arrivals, busiest, to_replay
from rackwright.migrate.capacity.lengths import ANSWER, length_of
from rackwright.migrate.capacity.sizing import Sizing, at_a_time, sizing
from rackwright.migrate.recorded_request import RecordedRequest


def recorded(path: str = "/v1/chat/completions", **body: object) -> RecordedRequest:
    whole = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x" * 400}], **body}
    return RecordedRequest(id="r", path=path, model="gpt-4o", body=whole, origin="capture")


def evenly(count: int, apart: float, start: float = 0.0) -> list[float]:
    return [start + number * apart for number in range(count)]


def test_the_busiest_window_is_found_and_scaled_by_the_share():
    times = [*evenly(60, 60), *evenly(120, 0.5, start=1800)]
    found = busiest(arrivals(times, [10.0] * len(times)), 60)
    # Two a second for a minute, and one of those that come every minute.
    assert (found.start, found.requests, found.weight) == (1800, 121, 1210)
    assert found.whole_rate == pytest.approx(1210 / 60)


@pytest.mark.parametrize("block", [3, busiest_module.BLOCK])
@given(times=st.lists(st.integers(0, 300), min_size=1, max_size=40), seconds=st.integers(1, 100))
def test_the_busiest_window_is_that_of_trying_each(block, times, seconds):
    """Also if it is looked for in several blocks."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(busiest_module, "BLOCK", block)
        found = busiest(arrivals(times, [1.0] * len(times)), seconds)
    counts = {start: sum(start <= time < start + seconds for time in times) for start in times}
    assert found.requests == max(counts.values())
    assert found.start == min(start for start, count in counts.items() if count == found.requests)


def test_a_request_takes_few_bytes_of_memory():
    """There may be many millions: a list of pairs would have 170 bytes for each."""
    times, weights = array("d", range(300_000)), array("d", [10.0]) * 300_000
    to_replay(arrivals(times, weights))
    tracemalloc.start()
    try:
        to_replay(arrivals(times, weights))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60 * 300_000


def test_the_shortest_window_with_enough_requests_is_replayed():
    assert to_replay(arrivals(evenly(1000, 0.5), [1.0] * 1000)).seconds == 60
    assert to_replay(arrivals(evenly(1000, 2.0), [1.0] * 1000)).seconds == 300
    assert to_replay(arrivals(evenly(30, 1.0), [1.0] * 30)).requests == 30
    assert to_replay(arrivals([], [])) is None


def test_the_order_of_records_makes_no_difference():
    times = [5.0, 1.0, 3.0]
    assert busiest(arrivals(times, [1, 2, 3]), 3) == busiest(arrivals(sorted(times), [2, 3, 1]), 3)


@pytest.mark.parametrize(
    ("peak", "goodput", "headroom", "busy"),
    [(10, 2.5, 0, 4), (10, 2.5, 20, 5), (10, 2.5, 50, 8), (10.1, 2.5, 0, 5), (0.001, 2.5, 30, 1), (7, 1, 30, 10)],
)
def test_replicas_are_peak_by_goodput_by_what_is_not_headroom(peak, goodput, headroom, busy):
    assert sizing(peak, goodput, headroom=headroom, spare=1, gpus=2) == Sizing(busy, 1, (busy + 1) * 2)


@given(st.floats(0.01, 1000), st.floats(0.01, 100), st.floats(0, 90))
def test_the_replicas_carry_the_peak_and_one_fewer_would_not(peak, goodput, headroom):
    busy = sizing(peak, goodput, headroom=headroom, spare=0, gpus=1).busy
    usable = goodput * (1 - headroom / 100)
    assert busy * usable >= peak * (1 - 1e-6)
    assert busy == 1 or (busy - 1) * usable < peak


def test_requests_at_a_time_are_littles():
    assert (at_a_time(2, 3), at_a_time(0.1, 0.1), at_a_time(2.5, 1)) == (6, 1, 3)


def test_a_body_is_the_recorded_one_for_the_replica():
    body = body_of(recorded(temperature=0.2, max_completion_tokens=900, stop=["x"]), "assistant", 40, "m1")
    assert body["messages"][0]["content"].startswith("m1 xxx")
    assert (body["model"], body["max_tokens"], body["ignore_eos"], body["temperature"]) == (
        "assistant",
        40,
        True,
        0.2,
    )
    assert body["stream_options"] == {"include_usage": True}
    assert "stop" not in body
    assert "max_completion_tokens" not in body


def test_what_no_replay_sends_a_measurement_does_not_send_either():
    body = body_of(recorded(store=True, metadata={"a": "b"}, service_tier="flex", seed=1), "a", 40, "m1")
    assert body.keys() & {"store", "metadata", "service_tier", "seed"} == {"seed"}


def test_a_grammar_ends_its_answer_and_parts_get_the_mark_too():
    parts = [{"type": "text", "text": "?"}]
    body = body_of(recorded(tools=[{}], messages=[{"role": "user", "content": parts}]), "a", 40, "m1")
    assert "ignore_eos" not in body
    assert body["messages"][0]["content"] == [{"type": "text", "text": "m1"}, *parts]


@pytest.mark.parametrize("request_", [recorded("/v1/embeddings"), recorded(messages=[]), recorded(messages="x")])
def test_what_is_no_chat_completion_has_no_body(request_):
    assert body_of(request_, "a", 40, "m1") is None


def test_a_length_is_counted_or_estimated():
    nothing, replayed = AnswerLengths(), AnswerLengths({"r": 9})
    assert length_of(recorded(), nothing).whole == 101 + ANSWER
    assert length_of(recorded(max_tokens=10), nothing).answer == 10
    known = recorded().model_copy(update={"prompt_tokens": 7})
    assert (length_of(known, replayed).whole, length_of(known, replayed).counted) == (16, True)
    assert length_of(known, nothing).counted is False


def test_an_answer_that_was_not_counted_is_as_long_as_the_mean_of_the_models_and_within_its_limit():
    means = AnswerLengths(usual={"gpt-4o": 40, "gpt-4o-mini": 7})
    logged = recorded(max_tokens=900).model_copy(update={"completion_tokens": 5})
    asked = [recorded(), recorded(max_tokens=900), recorded(max_tokens=10), logged]
    found = [length_of(one, means) for one in asked]
    assert [(one.answer, one.basis) for one in found] == [(40, "mean"), (40, "mean"), (10, "mean"), (5, "counted")]
    other = AnswerLengths(usual={"gpt-4o-mini": 7})
    found = [length_of(one, other) for one in asked]
    assert [(one.answer, one.basis) for one in found[:2]] == [(ANSWER, "assumed"), (900, "limit")]


def test_a_picture_is_not_counted_as_text():
    picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}]
    assert length_of(recorded(messages=[{"role": "user", "content": picture}]), AnswerLengths()).prompt < 20
