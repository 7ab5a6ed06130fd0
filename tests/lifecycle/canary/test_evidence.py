"""What a line of the access log says of a version."""

from __future__ import annotations

import pytest

from rackwright.lifecycle.canary import evidence
from rackwright.lifecycle.canary.evidence import Seen, Told, requests_of, traffic_of
from rackwright.verdict import Request
from tests.lifecycle.canary.lines import CANARY, line


def told(**said: object) -> list[Told]:
    return list(requests_of([line(**said)], CANARY, to_canary=bool(said.get("canary", True))))


def of(**said: object) -> list[Request]:
    return [one.request for one in told(**said)]


def test_a_streams_first_byte_is_its_first_token_without_the_wait_for_a_slot():
    assert of() == [Request("7", error=False, ttft=0.2, tpot=None)]


def test_a_whole_answer_tells_the_time_per_token():
    assert of(stream=False, completion_tokens=10) == [Request("7", error=False, ttft=None, tpot=0.1)]
    assert of(stream=None, completion_tokens=0) == [Request("7", error=False)]


def seen(*streamed: bool) -> Seen:
    made = Seen()
    for number, stream in enumerate(streamed):
        made.add(told(stream=stream, conversation=number, completion_tokens=None if stream else 10))
    return made


@pytest.mark.parametrize(("streams", "known"), [(20, 20), (19, 30), (0, 30)])
def test_first_tokens_are_of_streams_where_there_are_enough_and_else_of_all(streams, known):
    sides = traffic_of(seen(*[True] * 30), seen(*[True] * streams, *[False] * (30 - streams)))
    assert sum(one.ttft is not None for one in sides[1].requests) == known
    assert {one.ttft for one in sides[1].requests if one.ttft} == {0.2}


def test_lines_belong_to_the_side_that_they_were_dealt_to():
    lines = [line(), line(canary=False, replica="gpu2/assistant@1"), line(canary=None, conversation=None)]
    for side in (True, False):
        assert len(list(requests_of(lines, CANARY, to_canary=side))) == 1


@pytest.mark.parametrize(
    "said",
    [
        {"status": 500},
        {"status": 503, "end": "server_error", "replica": None},
        {"status": 200, "end": "timeout"},
        {"status": 200, "end": "killed"},
        {"status": 400, "end": "gateway_error"},
        {"replica": "gpu2/assistant@1"},
        {"replica": None, "status": 503},
    ],
)
def test_what_the_service_failed_is_an_error(said):
    assert of(**said) == [Request("7", error=True)]


def test_who_stood_in_for_the_running_version_failed_nothing():
    assert of(canary=False, replica="gpu3/assistant@1") == [Request("7", error=False, ttft=0.2)]


@pytest.mark.parametrize(
    "said",
    [
        {"end": "client_aborted"},
        {"end": "client_aborted", "status": 400},
        {"end": "refused", "status": 429, "replica": None},
        {"status": 400},
        {"status": 422},
    ],
)
def test_what_the_client_did_is_no_request(said):
    assert of(**said) == []


def test_times_are_never_none_at_all():
    assert of(queued_ms=250) == [Request("7", error=False, ttft=0.001)]


def some(conversations: int, each: int) -> list[Told]:
    return [Told(Request(str(name), error=False)) for name in range(conversations) for _ in range(each)]


def test_of_too_many_whole_conversations_are_left_out_and_all_are_counted(monkeypatch):
    monkeypatch.setattr(evidence, "MOST", 100)
    seen = Seen()
    for request in some(90, 3):
        seen.add([request])
    kept = seen.traffic(whole=False).requests
    assert seen.count == 270
    assert 25 <= len(kept) <= 100
    assert {[one.conversation for one in kept].count(name) for name in {one.conversation for one in kept}} == {3}


def test_of_one_endless_conversation_the_last_requests_stay(monkeypatch):
    monkeypatch.setattr(evidence, "MOST", 100)
    seen = Seen()
    seen.add([Told(Request("0", error=number < 500)) for number in range(600)])
    assert seen.count == 600
    assert [one.error for one in seen.traffic(whole=False).requests] == [False] * 100
