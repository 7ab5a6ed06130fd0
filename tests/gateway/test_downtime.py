"""Planned downtime of a model's only replica: its requests wait, or the answer says when to come back."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse

import pytest

from rackwright.gateway import Gateways
from rackwright.roles.gateway.access_log import Access, parse_access
from tests.gateway.stack import KEYS, Stack, eventually

ASSISTANT = "gpu1/assistant@1"


@pytest.fixture
def gateways(stack: Stack) -> Iterator[Gateways]:
    with stack.gateways() as gateways:
        yield gateways
        gateways.undrain(ASSISTANT)
        gateways.close_downtime("assistant")
        stack.gateway.wait_for_replaced()


@pytest.fixture
def pool(gateways: Gateways) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@contextmanager
def reloaded(stack: Stack, **settings: object) -> Iterator[None]:
    """Within the block, the gateway has these settings."""
    before = stack.settings
    stack.write(before.model_copy(update=settings))
    stack.gateway.reload()
    try:
        yield
    finally:
        stack.write(before)
        stack.gateway.reload()


@pytest.fixture
def refusing(stack: Stack) -> Iterator[None]:
    with reloaded(stack, downtime="reject"):
        yield


@pytest.fixture
def patient(stack: Stack) -> Iterator[None]:
    with reloaded(stack, queue_timeout_seconds=30):
        yield


def take_away(gateways: Gateways, seconds: int = 30) -> None:
    """Open the downtime and drain the replica, as a rollout does with an only replica."""
    gateways.open_downtime("assistant", seconds)
    gateways.drain(ASSISTANT, who="rollout", reason="update", manual=False)


def waiting(stack: Stack, requests: int = 1) -> bool:
    workers = stack.gateway.workers
    shown = [stack.gateway.ask(f"@!{pid} show sess all", "master") for pid in workers]
    return sum(text.count('current_rule="lua.downtime"') for text in shown) == requests


def hold(stack: Stack, pool: ThreadPoolExecutor, **request: bool | bytes) -> Future[HTTPResponse]:
    """Send a request and return when the gateway has queued it."""
    response = pool.submit(lambda: stack.send(**request))  # type: ignore[arg-type]
    eventually(lambda: waiting(stack))
    return response


def queued_and_unread(stack: Stack, gateways: Gateways) -> HTTPConnection:
    """Send a request that the gateway queues, to an engine that won't finish its answer. No client reads it."""
    take_away(gateways)
    stack.engines["assistant"].hold = True
    connection = stack.connect()
    connection.request("POST", "/v1/completions", json.dumps({"model": "assistant"}), {"api-key": KEYS["good"]})
    eventually(lambda: waiting(stack))
    return connection


def last_completion(stack: Stack, before: int) -> Access:
    """Return the log's only line of a completion after the first `before` lines, once it is written."""
    (line,) = eventually(lambda: [line for line in stack.log.lines[before:] if '"/v1/completions"' in line])
    return parse_access(line)


def logged(stack: Stack, response: HTTPResponse) -> Access:
    return stack.log.line(response.getheader("x-request-id") or "-")


def code(response: HTTPResponse) -> str:
    assert response.status == 503
    return str(json.loads(response.read())["error"]["code"])


def test_a_queued_request_is_answered_when_the_replica_is_back(
    stack: Stack, gateways: Gateways, pool: ThreadPoolExecutor
) -> None:
    take_away(gateways)
    body = json.dumps({"messages": "x" * 900_000, "model": "assistant"}).encode()
    response = hold(stack, pool, body=body)
    gateways.undrain(ASSISTANT)
    answered = response.result()
    assert (answered.status, stack.engines["assistant"].requests[0].body == body) == (200, True)
    answered.read()
    seen = logged(stack, answered)
    assert (seen.end, seen.replica, bool(seen.queued_ms)) == ("completed", ASSISTANT, True)


def test_a_queued_stream_comes_whole_and_unbuffered(
    stack: Stack, gateways: Gateways, pool: ThreadPoolExecutor
) -> None:
    take_away(gateways)
    engine = stack.engines["assistant"]
    engine.hold = True
    response = hold(stack, pool, stream=True)
    gateways.undrain(ASSISTANT)
    assert response.result().readline() == b"data: 0\n"
    engine.let_go(100)
    assert response.result().read().endswith(b"data: 4\n\ndata: [DONE]\n\n")


def test_many_requests_are_queued_and_none_fails(stack: Stack, gateways: Gateways) -> None:
    take_away(gateways)
    with ThreadPoolExecutor(40) as pool:
        responses = [pool.submit(stack.send) for _ in range(40)]
        eventually(lambda: waiting(stack, 40))
        gateways.undrain(ASSISTANT)
        assert {response.result().status for response in responses} == {200}


def test_a_request_that_is_queued_for_too_long_gets_a_retry_after(stack: Stack, gateways: Gateways) -> None:
    take_away(gateways)
    response = stack.send()
    assert 20 < int(response.getheader("retry-after") or 0) <= 30
    assert code(response) == "model_updating"
    seen = logged(stack, response)
    assert (seen.end, seen.replica, seen.key) == ("refused", None, "good")
    assert seen.queued_ms is not None
    assert seen.total_ms is not None
    # Two clocks: Lua measures the wait, HAProxy measures the total.
    assert 2000 <= seen.queued_ms <= seen.total_ms + 50


def test_a_queued_request_checks_now_and_then_and_sleeps_between_checks(
    stack: Stack, gateways: Gateways, pool: ThreadPoolExecutor
) -> None:
    take_away(gateways)
    hold(stack, pool)

    def looks() -> int:
        """Return how often the request has woken, or 0 until it has woken more than five times."""
        shown = stack.gateway.ask("show sess all")
        (session,) = [part for part in shown.split("\n0x") if 'current_rule="lua.downtime"' in part]
        count = int(re.findall(r" task=\S+ \(.*? calls=(\d+)", session)[0])
        return count if count > 5 else 0

    assert eventually(looks) < 100


def test_past_its_end_a_downtime_says_one_second(stack: Stack, gateways: Gateways, refusing: None) -> None:
    take_away(gateways, seconds=-60)
    response = stack.send()
    assert (response.getheader("retry-after"), code(response)) == ("1", "model_updating")


def test_a_refused_request_gets_a_retry_after_at_once(stack: Stack, gateways: Gateways, refusing: None) -> None:
    take_away(gateways, seconds=300)
    response = stack.send()
    assert 290 < int(response.getheader("retry-after") or 0) <= 300
    assert code(response) == "model_updating"
    seen = logged(stack, response)
    assert (seen.status, seen.end, seen.model, seen.replica) == (503, "refused", "assistant", None)
    assert seen.queued_ms is None


def test_no_other_request_is_queued(stack: Stack, gateways: Gateways, pool: ThreadPoolExecutor) -> None:
    gateways.open_downtime("assistant", 30)
    assert stack.send().status == 200
    take_away(gateways)
    hold(stack, pool)
    assert stack.send("coder").status == 200
    assert stack.send(key="wrong").status == 401
    assert stack.send("nothing").status == 404
    assert stack.send(key="scoped").status == 403
    assert waiting(stack)


@pytest.mark.parametrize("end", ["closed", "forgotten"])
def test_without_a_downtime_no_replica_is_an_error_at_once(stack: Stack, gateways: Gateways, end: str) -> None:
    take_away(gateways, seconds=-601 if end == "forgotten" else 30)
    if end == "closed":
        gateways.close_downtime("assistant")
    assert gateways.downtimes() == {}
    response = stack.send()
    assert (response.getheader("retry-after"), code(response)) == ("5", "unavailable")
    assert logged(stack, response).end == "server_error"


def test_a_downtime_that_is_closed_lets_go_of_what_waits(
    stack: Stack, gateways: Gateways, pool: ThreadPoolExecutor
) -> None:
    take_away(gateways)
    response = hold(stack, pool)
    gateways.close_downtime("assistant")
    assert code(response.result()) == "unavailable"
    stack.gateway.reload()
    assert gateways.downtimes() == {}


def test_the_request_of_a_client_that_left_keeps_no_engine_busy(stack: Stack, gateways: Gateways) -> None:
    engine, before = stack.engines["assistant"], len(stack.log.lines)
    connection = queued_and_unread(stack, gateways)
    connection.sock.shutdown(socket.SHUT_RDWR)
    gateways.undrain(ASSISTANT)
    seen = last_completion(stack, before)
    assert seen.end == "client_aborted"
    # HAProxy checks the client only when it releases the request, nearly always before it connects to the engine.
    assert (seen.status, seen.bytes > 0) in ((0, False), (400, True))
    if seen.status == 0:
        assert not engine.requests
    elif engine.requests:
        eventually(engine.is_left)


def test_a_client_that_leaves_once_its_request_was_let_go_frees_the_engine(stack: Stack, gateways: Gateways) -> None:
    engine, before = stack.engines["assistant"], len(stack.log.lines)
    connection = queued_and_unread(stack, gateways)
    gateways.undrain(ASSISTANT)
    eventually(lambda: engine.requests)
    connection.sock.shutdown(socket.SHUT_RDWR)
    seen = last_completion(stack, before)
    # HAProxy's own error, which no client receives.
    assert (seen.end, seen.status, seen.replica) == ("client_aborted", 400, ASSISTANT)
    eventually(engine.is_left)


def test_an_open_downtime_outlives_a_reload_and_so_does_what_waits(
    stack: Stack, gateways: Gateways, patient: None, pool: ThreadPoolExecutor
) -> None:
    take_away(gateways)
    stack.agents["assistant"].state = "down"
    eventually(lambda: not gateways.servers()[ASSISTANT].up)
    before = hold(stack, pool)
    stack.gateway.reload()
    after = pool.submit(stack.send)
    eventually(lambda: waiting(stack, 2))
    stack.agents["assistant"].state = "up ready"
    gateways.undrain(ASSISTANT)
    assert after.result().status == 200
    # An old worker checks no servers: only the end of the downtime releases its requests.
    gateways.close_downtime("assistant")
    assert before.result().status == 200


def test_every_worker_is_told_once(stack: Stack, gateways: Gateways) -> None:
    stack.engines["assistant"].hold = True
    stream = stack.send(stream=True)
    stack.gateway.reload()
    workers = stack.gateway.workers
    assert len(workers) == 2

    def known() -> list[list[str]]:
        asked = f"show map {stack.gateway.paths.configuration}/downtimes.map"
        shown = [stack.gateway.ask(f"@!{pid} {asked}", "master") for pid in workers]
        return [[line.split()[1] for line in text.splitlines() if len(line.split()) == 3] for text in shown]

    for seconds in (60, 300):
        gateways.open_downtime("assistant", seconds)
        assert known() == [["assistant"]] * 2
    end = gateways.downtimes()["assistant"]
    assert timedelta(seconds=290) < end - datetime.now(UTC) <= timedelta(seconds=300)
    for _ in range(2):
        gateways.close_downtime("assistant")
        assert known() == [[], []]
    stack.engines["assistant"].let_go(100)
    assert stream.read().endswith(b"[DONE]\n\n")
    stream._connection.close()  # type: ignore[attr-defined]
