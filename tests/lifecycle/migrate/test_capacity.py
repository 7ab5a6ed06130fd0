"""Capacity from recorded traffic and a stand-in for a replica, whose limits are known."""

from __future__ import annotations

import json
import tracemalloc
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.cli.render.migrate_report.capacity_text import as_text
from rackwright.errors import RackwrightError, UsageError
from rackwright.lifecycle.bench.measure import Recorded
from rackwright.lifecycle.migrate.capacity import pool_check, traffic
from rackwright.lifecycle.migrate.capacity.pool_check import of_fit
from rackwright.lifecycle.migrate.capacity.procedure import capacity
from rackwright.lifecycle.migrate.capacity.window_replay import LONGEST, SHORTEST
from rackwright.migrate.assessment import Assessed, Moved
from rackwright.migrate.capacity.answer_lengths import AnswerLengths
from rackwright.migrate.capacity.result import Cache, CapacityFound
from rackwright.migrate.features.mapping import Change, Mapped
from rackwright.migrate.features.summary import TrafficSummary
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from tests.fit.test_fit import fit
from tests.lifecycle.bench.steps import step
from tests.lifecycle.migrate.desks import Desk

START = 1_764_500_000.0
CHAT = "/v1/chat/completions"


class Replica:
    """A stand-in for a replica: it keeps up with so many requests per second."""

    def __init__(self, most: float) -> None:
        self.most = most
        self.sent: list[tuple[float, Recorded]] = []

    @contextmanager
    def __call__(self, *_: Any) -> Iterator[Any]:
        yield self.send

    def send(self, recorded: Recorded, rate: float) -> Any:
        self.sent.append((rate, recorded))
        count = len(recorded.at)
        failed = 0 if rate <= self.most else count // 2
        errors = {"HTTP 503": failed} if failed else {}
        return step(rate, requests=count, answered=count - failed, errors=errors, latency=2.0)


@pytest.fixture(autouse=True)
def large_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hardware is that of tests/fit, whose cache is large enough."""
    monkeypatch.setattr(pool_check, "_placed", lambda *_: SimpleNamespace(fit=fit(), doubt=None))


def record(desk: Desk, *times: float, origin: Any = "capture", path: str = CHAT) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Is it good?"}], "max_tokens": 30}
    ours = (
        RecordedRequest(id=f"r{n}", arrived=START + at, path=path, model="gpt-4o-mini", body=body, origin=origin)
        for n, at in enumerate(times)
    )
    desk.open().folder.write("requests", (one.model_dump_json() for one in ours))


def evenly(count: int, apart: float) -> list[float]:
    return [number * apart for number in range(count)]


def test_measured_and_extrapolated_figures_are_kept_apart(desk: Desk) -> None:
    # 2 a second in the sample of 10 percent, so 20 a second at the peak.
    record(desk, *evenly(120, 0.5))
    replica = Replica(most=6)
    found = capacity(desk.open(), desk.say, engine=replica)
    (model,) = found.models
    assert (model.measured.window_seconds, model.measured.requests) == (60, 120)
    assert model.measured.goodput == 5.946
    assert (model.extrapolated.peak, model.extrapolated.sampled) == (20, 10)
    # 20 by 5.946 by 0.7 is 4.8, and a fifth of 20 a second for 2 seconds each is 8.
    assert (model.extrapolated.busy, model.extrapolated.spare, model.extrapolated.replicas) == (5, 1, 6)
    assert model.extrapolated.at_a_time == 8
    assert not found.met
    assert model.problems == ("needed replicas: 6, in the fleet file: 1",)
    assert desk.open().result("capacity", CapacityFound) == found
    assert desk.open().entries()[-1].what == "not met; assistant: 6 replicas needed, 1 planned"


def test_imported_requests_are_all_that_there_were(desk: Desk) -> None:
    desk.edit("currency: EUR", "capacity: {headroom: 0, spare: 0}\ncurrency: EUR")
    record(desk, *evenly(120, 0.5), origin="jsonl")
    found = capacity(desk.open(), desk.say, engine=Replica(most=50))
    assert (found.models[0].extrapolated.peak, found.models[0].extrapolated.replicas) == (2, 1)
    assert found.met


def test_a_cache_of_unknown_size_is_not_enough(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.edit("currency: EUR", "capacity: {headroom: 0, spare: 0}\ncurrency: EUR")
    record(desk, *evenly(120, 0.5), origin="jsonl")
    monkeypatch.setattr(pool_check, "_placed", lambda *_: None)
    found = capacity(desk.open(), desk.say, engine=Replica(most=50))
    assert found.models[0].problems == (
        "it isn't known whether the cache is large enough: its host's hardware isn't known",
    )
    assert not found.met


def test_requests_are_sent_at_their_times_made_faster_and_repeated(desk: Desk) -> None:
    record(desk, *[0.0] * 60, *[30.0] * 60)
    replica = Replica(most=1000)
    capacity(desk.open(), desk.say, engine=replica)
    rate, recorded = replica.sent[0]
    assert rate == 20
    lap = 120 / rate
    assert recorded.at[:120] == tuple([0.0] * 60 + [pytest.approx(lap / 2)] * 60)
    assert recorded.at[120] == pytest.approx(lap)
    assert SHORTEST - lap <= recorded.at[-1] <= LONGEST
    bodies = [json.loads(body) for body in recorded.bodies]
    marks = [body["messages"][0]["content"].partition(" ")[0] for body in bodies]
    assert len(set(marks[:120])) == 1
    assert marks[0] != marks[120]
    assert bodies[0]["max_tokens"] == 30


def test_requests_that_come_in_bursts_do_not_look_like_a_high_throughput(desk: Desk) -> None:
    """All come in the first ten seconds of the window. The replica answers twelve a second."""
    record(desk, *evenly(120, 10 / 120))

    @contextmanager
    def replica(*_: Any) -> Iterator[Any]:
        def send(recorded: Recorded, rate: float) -> Any:
            count = len(recorded.at)
            seconds = max(recorded.at[-1] + 1, count / 12)
            return step(rate, per_second=count / seconds, requests=count, answered=count, seconds=seconds)

        yield send

    measured = capacity(desk.open(), desk.say, engine=replica).models[0].measured
    assert all(speed.answered_per_second <= speed.rate * 1.001 for speed in measured.speeds)
    assert measured.goodput is not None
    assert 8 <= measured.goodput <= 12


def test_a_rate_that_is_too_high_is_searched_downward(desk: Desk) -> None:
    record(desk, *evenly(120, 0.5))
    found = capacity(desk.open(), desk.say, engine=Replica(most=3)).models[0]
    assert found.measured.speeds[0].missed
    assert found.measured.goodput == pytest.approx(2.6, abs=0.5)


def test_without_any_good_rate_nothing_is_extrapolated_and_it_is_not_met(desk: Desk) -> None:
    record(desk, *evenly(120, 0.5))
    found = capacity(desk.open(), desk.say, engine=Replica(most=0))
    assert found.models[0].extrapolated.replicas is None
    assert not found.met
    assert found.models[0].problems[0].startswith("no rate was good")


def test_objectives_decide_what_is_good(desk: Desk) -> None:
    text = desk.path.read_text()
    desk.path.write_text(text.replace("    context: 2048", "    context: 2048\n    objectives: {latency_p95: 1s}"))
    record(desk, *evenly(120, 0.5))
    found = capacity(desk.open(), desk.say, engine=Replica(most=1000)).models[0]
    assert found.measured.goodput is None
    assert found.measured.speeds[0].missed == "latency_p95 is 2.00 s"
    assert found.measured.without_objectives is False


def test_too_few_requests_are_refused(desk: Desk) -> None:
    record(desk, *evenly(19, 1))
    with pytest.raises(RackwrightError, match="19 recorded requests have a time of arrival, at least 20 are needed"):
        capacity(desk.open(), desk.say, engine=Replica(most=1))
    assert desk.open().result("capacity", CapacityFound) is None


def test_only_chat_completions_are_replayed(desk: Desk) -> None:
    record(desk, *evenly(120, 0.5), path="/v1/embeddings")
    with pytest.raises(RackwrightError, match="0 chat completions are in the busiest window"):
        capacity(desk.open(), desk.say, engine=Replica(most=1))


def test_a_replica_that_is_none_is_refused(desk: Desk) -> None:
    record(desk, *evenly(120, 0.5))
    with pytest.raises(UsageError, match=r"no such replica; there are: gpu1/assistant@1"):
        capacity(desk.open(), desk.say, "gpu9/assistant@1", engine=Replica(most=1))


def test_a_request_longer_than_the_context_is_not_met(desk: Desk) -> None:
    record(desk, *evenly(120, 0.5), origin="jsonl")
    long = RecordedRequest(
        id="long",
        path="/v1/chat/completions",
        model="gpt-4o-mini",
        body={},
        origin="jsonl",
        prompt_tokens=2000,
        completion_tokens=100,
    )
    desk.open().folder.write("requests", [long.model_dump_json()])
    found = capacity(desk.open(), desk.say, engine=Replica(most=1000))
    assert found.models[0].cache.fits is False
    assert not found.met
    assert found.models[0].left_out == {"its time isn't known": 1}


def test_answers_have_the_length_that_the_cloud_counted(desk: Desk) -> None:
    record(desk, *evenly(120, 0.5))
    answers = (ReplayedAnswer(request=f"r{n}", asked="cloud", status=200, completion_tokens=9) for n in range(120))
    desk.open().folder.write("answers-cloud", (one.model_dump_json() for one in answers))
    replica = Replica(most=1000)
    capacity(desk.open(), desk.say, engine=replica)
    assert json.loads(replica.sent[0][1].bodies[0])["max_tokens"] == 9


def test_answers_that_nobody_counted_have_the_mean_length_of_the_replay(desk: Desk) -> None:
    record(desk, *evenly(120, 0.5))
    answers = (ReplayedAnswer(request=f"r{n}", asked="cloud", status=200, completion_tokens=n) for n in (1, 2, 30))
    desk.open().folder.write("answers-cloud", (one.model_dump_json() for one in answers))
    replica = Replica(most=1000)
    found = capacity(desk.open(), desk.say, engine=replica)
    sent = [json.loads(body)["max_tokens"] for body in replica.sent[0][1].bodies[:120]]
    assert Counter(sent) == {11: 117, 1: 1, 2: 1, 30: 1}
    assert found.models[0].answers == {"counted": 3, "mean": 117}
    assert any(line.startswith("lengths of answers: 3 counted by the provider; 117 taken") for line in as_text(found))


def test_the_typical_length_is_found_without_a_list_of_all(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sorted list would have 36 bytes for each."""
    monkeypatch.setattr(pool_check, "_placed", lambda *_: None)
    place, count = desk.open(), 300_000
    found = traffic.Traffic(place, frozenset(), AnswerLengths(), array("i", range(count, 0, -1)), counted=count)
    replica = place.session.fleet.replicas_of("assistant")[0]
    tracemalloc.start()
    try:
        cache = pool_check.checked_cache(place.session, replica, found, None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (cache.largest, cache.typical, cache.counted) == (300_000, 285_000, 1)
    assert peak < 16 * count


def test_the_cache_is_compared_with_the_requests_in_work() -> None:
    cache = Cache(largest=8192, typical=8192, counted=1, context=8192)
    # A request with the whole context takes 1 GiB of the cache in tests/fit.
    holds = of_fit(cache, fit(), 1).holds
    assert holds is not None
    assert of_fit(cache, fit(), holds).fits is True
    found = of_fit(cache, fit(), holds + 1)
    assert found.fits is False
    assert found.why == f"the cache holds {holds} requests of 8192 tokens, and {holds + 1} are in work at the peak"


def test_a_window_that_memory_does_not_hold_is_thinned_evenly(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones of it would be a burst, and then silence."""
    monkeypatch.setattr(traffic, "MOST", 30)
    record(desk, *evenly(120, 0.5))
    replica = Replica(most=100)
    capacity(desk.open(), desk.say, engine=replica)
    rate, recorded = replica.sent[0]
    gaps = {round((after - before) * rate, 3) for before, after in pairwise(recorded.at[:15])}
    assert gaps == {1.0}


def test_a_limit_that_no_model_has_is_bounded(desk: Desk) -> None:
    """A client may send any number, and the gateways record it."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "?"}], "max_tokens": 10**25}
    ours = (
        RecordedRequest(
            id=f"r{n}", arrived=START + n, path=CHAT, model="gpt-4o-mini", body=body, origin="capture"
        ).model_dump_json()
        for n in range(30)
    )
    desk.open().folder.write("requests", ours)
    (model,) = capacity(desk.open(), desk.say, engine=Replica(most=6)).models
    assert model.cache.fits is False


def test_the_replica_is_asked_as_the_map_says(desk: Desk) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "developer", "content": "Is it good?"}], "max_tokens": 30}
    ours = (
        RecordedRequest(id=f"r{n}", arrived=START + n, path=CHAT, model="gpt-4o-mini", body=body, origin="jsonl")
        for n in range(30)
    )
    desk.open().folder.write("requests", (one.model_dump_json() for one in ours))
    changed = Change(
        feature="role.developer", status="rejected", kind="rewritten", requests=30, means="x", replay="rewritten"
    )
    moved = Moved(
        model="gpt-4o-mini", target="assistant", runtime="vllm", context=9, mapped=Mapped(prompts=(changed,))
    )
    desk.open().note("assess", "x", Assessed(probed=True, traffic=TrafficSummary(requests=30), moved=(moved,)))
    replica = Replica(most=6)
    capacity(desk.open(), desk.say, engine=replica)
    roles = {json.loads(one)["messages"][0]["role"] for _, sent in replica.sent for one in sent.bodies}
    assert roles == {"system"}
