"""What a line of the access log shows about a version."""

from __future__ import annotations

import pytest

from rackwright.lifecycle.canary import evidence
from rackwright.lifecycle.canary.evidence import (
    LoggedRequest,
    Seen,
    asked_of_canary,
    asked_of_running,
    asked_of_side,
    traffic_of,
)
from rackwright.verdict import Request
from tests.lifecycle.canary.lines import CANARY, line

BESIDE = {"gpu2/assistant@1", "gpu3/assistant@1"}


def told(**said: object) -> list[LoggedRequest]:
    lines = [line(**said)]
    if said.get("canary", True):
        return list(asked_of_canary(lines, CANARY))
    return list(asked_of_running(lines, BESIDE, 0))


def of(**said: object) -> list[Request]:
    return [one.request for one in told(**said)]


def test_a_streams_first_byte_is_its_first_token_without_the_wait_for_a_slot():
    assert of() == [Request("7", error=False, ttft=0.2, tpot=None)]


def test_an_answer_in_one_piece_tells_the_time_per_token():
    assert of(stream=False, completion_tokens=10) == [Request("7", error=False, ttft=0.2, tpot=0.1)]
    assert of(stream=None, completion_tokens=0) == [Request("7", error=False, ttft=0.2)]


@pytest.mark.parametrize("status", [200, 404, 503])
def test_a_request_that_fell_back_to_the_cloud_is_a_failure_of_the_fleet_alone(status: int) -> None:
    lines = [line(side="fallback", status=status, canary=None, conversation=7)]
    assert [one.request for one in asked_of_side(lines, "fleet", 50)] == [Request("7", error=True)]
    assert not list(asked_of_side(lines, "cloud", 0))


def seen(*, streams: int, others: int) -> Seen:
    made = Seen()
    for number in range(streams + others):
        stream = number < streams
        made.add(told(stream=stream, conversation=number, completion_tokens=None if stream else 10))
    return made


@pytest.mark.parametrize(
    ("streams", "others", "first", "tokens"),
    [(30, 0, 30, 0), (30, 20, 30, 0), (20, 30, 30, 30), (0, 30, 30, 30), (250, 200, 250, 200), (250, 199, 250, 0)],
)
def test_times_are_of_what_most_answers_are(streams, others, first, tokens):
    running = seen(streams=streams * 4, others=others * 4)
    requests = traffic_of(running, seen(streams=streams, others=others))[1].requests
    assert sum(one.ttft is not None for one in requests) == first
    assert sum(one.tpot is not None for one in requests) == tokens


def test_both_versions_have_the_same_kind():
    for traffic in traffic_of(seen(streams=10, others=90), seen(streams=30, others=10)):
        assert all((one.ttft is None) == (one.tpot is None) for one in traffic.requests)


def test_lines_belong_to_the_side_that_they_were_dealt_to():
    lines = [line(), line(canary=False, replica="gpu2/assistant@1"), line(canary=None, conversation=None)]
    assert len(list(asked_of_canary(lines, CANARY))) == 1
    assert len(list(asked_of_running(lines, BESIDE, 0))) == 1


def test_a_replica_that_runs_the_new_version_already_is_not_compared_with():
    assert of(canary=False, replica="gpu4/assistant@1") == []
    assert of(canary=False, replica=None, status=503) == [Request("7", error=True)]


def test_conversations_that_are_older_than_any_of_the_canary_are_left_out():
    """They started when the canary had a smaller share."""
    lines = [line(canary=False, replica="gpu2/assistant@1", conversation=number) for number in (49_999, 50_000)]
    assert [one.request.conversation for one in asked_of_running(lines, BESIDE, 5)] == ["50000"]


def test_a_client_that_left_before_the_first_byte_counts_with_the_time_it_waited():
    left = {"end": "client_aborted", "first_byte_ms": None, "total_ms": 60_050}
    assert of(**left) == [Request("7", error=False, ttft=60.0)]
    assert of(**left, queued_ms=None) == []
    assert of(**left, replica=None) == []


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


def some(conversations: int, each: int) -> list[LoggedRequest]:
    return [
        LoggedRequest(Request(str(name), error=False), streamed=True)
        for name in range(conversations)
        for _ in range(each)
    ]


def kept_of(found: list[LoggedRequest]) -> list[Request]:
    seen = Seen()
    for request in found:
        seen.add([request])
    assert seen.count == len(found)
    return list(seen.traffic(streams=True, tokens=True).requests)


def test_of_too_many_requests_are_left_out_and_hardly_a_conversation(monkeypatch):
    monkeypatch.setattr(evidence, "MOST", 1000)
    kept = kept_of(some(90, 40))
    assert 400 <= len(kept) <= 1000
    assert len({one.conversation for one in kept}) >= 88


def read_of(*conversations: int, error: bool = False) -> list[LoggedRequest]:
    return [LoggedRequest(Request(str(one), error=error), streamed=True) for one in conversations]


def test_the_newest_requests_are_those_of_six_reads():
    seen = Seen()
    for number in range(10):
        seen.add(read_of(*range(100 * number, 100 * number + 30), error=number < 4))
    newest = seen.newest().requests
    assert len(newest) == 6 * 30
    assert not any(one.error for one in newest)


def test_of_few_conversations_as_many_are_newest_as_show_a_failure():
    seen = Seen()
    for number in range(50):
        # Two requests of each conversation; a read without any changes nothing.
        seen.add(read_of(number, number))
        seen.add([])
    assert [one.conversation for one in seen.newest().requests] == [str(one) for one in range(30, 50) for _ in "ab"]


def test_of_one_endless_conversation_early_and_late_requests_stay(monkeypatch):
    monkeypatch.setattr(evidence, "MOST", 100)
    kept = kept_of([LoggedRequest(Request("0", error=number < 500), streamed=True) for number in range(1000)])
    assert 40 <= len(kept) <= 100
    assert 0.3 <= sum(one.error for one in kept) / len(kept) <= 0.7


def test_tokens_are_known_of_as_many_conversations_as_their_p95_takes():
    """Two hundred answers in few conversations are little evidence, and the trial doesn't wait for more of them."""
    made = seen(streams=250, others=0)
    made.add([one for one in told(stream=False, completion_tokens=10) for _ in range(200)])
    assert not any(one.tpot for one in traffic_of(made, made)[1].requests)
