"""Requests larger than a usual one, which come in through the reader."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path

import pytest

from rackwright.roles.gateway.access_log import Access, parse_access
from rackwright.roles.gateway.configuration import HEADER_BYTES, MOST_SMALL_BYTES, READER_THREADS
from rackwright.roles.gateway.settings import Settings
from tests.gateway.stack import KEYS, Stack, digest, eventually, running_stack
from tests.gateway.test_hostile_requests import answer, opened
from tests.gateway.test_requests import error

IMAGE = "data:image/png;base64," + "iVBORw0KGgo/" * 80_000
"""About 0.9 MiB."""
PATH = "/v1/chat/completions"


def with_image(model: object = "assistant", *, image: str = IMAGE, **others: object) -> bytes:
    """Return a request as OpenAI's SDK writes it: the model comes after the messages."""
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": image}}]
    return json.dumps({"messages": [{"role": "user", "content": parts}], "model": model, **others}).encode()


def chunks(body: bytes, size: int = 65536) -> Iterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


def chunked(stack: Stack, body: bytes, size: int = 65536, key: str = "good") -> HTTPResponse:
    """Send a body without saying its length."""
    connection = stack.connect()
    headers = {"authorization": f"Bearer {KEYS[key]}", "connection": "close"}
    connection.request("POST", PATH, chunks(body, size), headers, encode_chunked=True)
    response = connection.getresponse()
    response._connection = connection  # type: ignore[attr-defined]
    return response


@contextmanager
def on_the_way(stack: Stack, body: bytes, *, sent: float = 0.5, key: str = "good") -> Iterator[HTTPSConnection]:
    """Send the head and a share of the body."""
    connection = stack.connect()
    connection.putrequest("POST", PATH)
    connection.putheader("authorization", f"Bearer {KEYS[key]}")
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body[: int(len(body) * sent)])
    try:
        yield connection
    finally:
        connection.close()


def rest(connection: HTTPSConnection, body: bytes, *, sent: float = 0.5) -> HTTPResponse:
    connection.send(body[int(len(body) * sent) :])
    return connection.getresponse()


@contextmanager
def changed(stack: Stack, **settings: object) -> Iterator[Settings]:
    """Run the gateway with other settings."""
    before = stack.settings
    stack.write(before.model_copy(update=settings))
    stack.reader.reload()
    stack.gateway.reload()
    try:
        yield stack.settings
    finally:
        stack.write(before)
        stack.reader.reload()
        stack.gateway.reload()
        stack.reset()


def lines(stack: Stack, before: int) -> list[Access]:
    return [parse_access(line) for line in stack.log.lines[before:]]


def reading(stack: Stack) -> int:
    """Return how many requests are on their way to the reader."""
    rows = stack.gateway.ask("show table reading").splitlines()[1:]
    return sum(int(row.partition("conn_cur=")[2]) for row in rows if "conn_cur=" in row)


@pytest.mark.parametrize("model", ["assistant", "coder"])
@pytest.mark.parametrize("length", ["said", "chunked"])
def test_a_large_request_reaches_the_engine_whole(stack: Stack, model: str, length: str) -> None:
    body = with_image(model)
    assert len(body) > MOST_SMALL_BYTES
    response = stack.send(body=body) if length == "said" else chunked(stack, body)
    assert response.status == 200
    (received,) = stack.engines[model].requests
    salted = json.loads(received.body)
    assert salted.pop("cache_salt", None) is not None or model == "assistant"
    assert salted == json.loads(body)
    assert received.headers["content-length"] == str(len(received.body))
    assert not {"authorization", "transfer-encoding"} & set(received.headers)


def test_the_model_may_stand_anywhere(stack: Stack) -> None:
    first = json.dumps({"model": "coder", "messages": [{"role": "user", "content": IMAGE}]}).encode()
    assert stack.send(body=first).status == 200
    assert stack.send(body=with_image("org/coder:8b")).status == 200
    assert len(stack.engines["coder"].requests) == 2


def test_many_small_chunks_are_no_trick(stack: Stack) -> None:
    body = with_image(image=IMAGE[:400_000])
    assert chunked(stack, body, size=10).status == 200
    assert stack.engines["assistant"].requests[0].body == body


def test_trailers_of_a_large_request_go_no_further(stack: Stack) -> None:
    body = with_image()
    connection = stack.connect()
    connection.putrequest("POST", PATH)
    connection.putheader("authorization", f"Bearer {KEYS['good']}")
    connection.putheader("transfer-encoding", "chunked")
    connection.putheader("trailer", "x-secret")
    connection.endheaders()
    for chunk in chunks(body):
        connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    connection.send(b"0\r\nx-secret: 1\r\n\r\n")
    assert connection.getresponse().status == 200
    (received,) = stack.engines["assistant"].requests
    assert received.headers["content-length"] == str(len(body))


def test_a_large_request_may_be_a_stream(stack: Stack) -> None:
    response = stack.send(body=with_image(stream=True))
    assert response.status == 200
    assert response.read().endswith(b"data: [DONE]\n\n")
    assert stack.log.line(response.headers["x-request-id"]).stream is True


def test_its_line_of_the_log_is_the_only_one_and_says_it_all(stack: Stack) -> None:
    before = len(stack.log.lines)
    response = stack.send(body=with_image())
    response.read()
    line = stack.log.line(response.headers["x-request-id"])
    assert (line.key, line.model, line.replica, line.path) == ("good", "assistant", "gpu1/assistant@1", PATH)
    assert (line.status, line.end, line.digest) == (200, "completed", stack.settings.models[0].digest)
    assert stack.send().status == 200
    eventually(lambda: len(stack.log.lines) >= before + 2)
    assert len(stack.log.lines) == before + 2


def test_a_request_that_says_that_it_is_too_large_is_refused_before_it_is_sent(stack: Stack) -> None:
    body = with_image(image="a" * stack.settings.max_request_bytes)
    with on_the_way(stack, body, sent=0.001) as connection:
        response = connection.getresponse()
        assert error(response) == (413, "request_too_large")
        assert stack.log.line(response.headers["x-request-id"]).end == "refused"


def test_a_large_request_that_stops_arriving_is_answered(stack: Stack) -> None:
    configuration = Path(stack.reader.paths.configuration, "haproxy.cfg")
    text = configuration.read_text()
    assert text.count("timeout client 55s\n") == 1
    configuration.write_text(text.replace("timeout client 55s\n", "timeout client 500ms\n"))
    stack.reader.reload()
    try:
        stalled = opened(stack, **{"content-length": "1000000"})
        stalled.sendall(b'{"model":"coder",')
        assert error(answer(stalled)) == (408, "request_timeout")
    finally:
        configuration.write_text(text)
        stack.reader.reload()
        stack.reader.wait_for_replaced()
    assert not stack.engines["coder"].requests


def test_a_request_that_turns_out_too_large_is_refused(stack: Stack) -> None:
    with changed(stack, max_request_bytes=2**20):
        body = with_image(image="a" * 2**20)
        before = len(stack.log.lines)
        # The gateway doesn't read the rest of it, so it may close the connection before its answer is read.
        with suppress(ConnectionError):
            assert error(chunked(stack, body)) == (413, "request_too_large")
        (line,) = eventually(lambda: lines(stack, before))
        assert (line.status, line.end, line.key, line.path) == (413, "refused", "good", PATH)
        assert not stack.engines["assistant"].requests


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (with_image("nobody"), 404, "model_not_found"),
        (with_image(None), 404, "model_not_found"),
        (with_image() + b" x", 400, "invalid_request"),
        (with_image()[:-1], 400, "invalid_request"),
        (with_image() + b" " * 2000, 400, "invalid_request"),
        (with_image(tools=json.loads("[" * 150 + "]" * 150)), 400, "nested_too_deeply"),
        (with_image()[:-1] + b',"mod\\u0065l":"coder"}', 400, "repeated_model"),
        (with_image(id_slot=1), 400, "unsupported_parameter"),
    ],
    ids=["unknown", "no name", "more", "unfinished", "blanks", "deep", "two models", "internal"],
)
def test_a_large_request_is_checked_like_any(stack: Stack, body: bytes, status: int, code: str) -> None:
    before = len(stack.log.lines)
    assert error(stack.send(body=body)) == (status, code)
    (line,) = eventually(lambda: lines(stack, before))
    assert (line.status, line.end, line.key) == (status, "refused", "good")
    assert not any(engine.requests for engine in stack.engines.values())


def test_a_key_is_asked_for_before_the_body(stack: Stack) -> None:
    connection = stack.connect()
    connection.putrequest("POST", PATH)
    connection.putheader("content-length", "1000000")
    connection.endheaders()
    assert error(connection.getresponse()) == (401, "invalid_api_key")
    connection.close()


@pytest.mark.parametrize("size", ["large", "usual"])
def test_a_compressed_body_is_refused(stack: Stack, size: str) -> None:
    body = with_image() if size == "large" else b"{}"
    response = stack.send(body=body, headers={"content-encoding": "gzip"})
    assert error(response) == (415, "unsupported_media_type")
    assert stack.send(headers={"content-encoding": "identity"}).status == 200


def test_it_counts_once_for_its_key(stack: Stack) -> None:
    (good, *others) = stack.settings.keys
    limited = good.model_copy(
        update={"id": "limited", "sha256": digest(KEYS["limited"]), "requests_per_minute": 2, "concurrency": 1}
    )
    with changed(stack, keys=(good, *others, limited)):
        # Not across the end of a minute.
        eventually(lambda: time.time() % 60 < 50)
        for _ in range(2):
            assert stack.send(body=with_image(), key="limited").status == 200
        assert error(stack.send(body=with_image(), key="limited")) == (429, "rate_limit_exceeded")


def test_one_key_gets_half_of_the_places(stack: Stack) -> None:
    with changed(stack, large_requests=4):
        body = with_image()
        with on_the_way(stack, body) as first, on_the_way(stack, body) as second:
            eventually(lambda: reading(stack) == 2)
            response = stack.send(body=body)
            assert error(response) == (429, "concurrency_limit_exceeded")
            assert response.getheader("retry-after") == "2"
            assert stack.send().status == 200
            assert rest(first, body).status == rest(second, body).status == 200
        eventually(lambda: reading(stack) == 0)
        assert stack.send(body=body).status == 200


def test_without_the_reader_usual_requests_go_on(stack: Stack) -> None:
    stack.reader.stop()
    try:
        before = len(stack.log.lines)
        response = stack.send(body=with_image())
        assert error(response) == (503, "unavailable")
        (line,) = eventually(lambda: lines(stack, before))
        assert (line.status, line.key, line.request) == (503, "good", response.headers["x-request-id"])
        assert stack.send().status == 200
    finally:
        stack.reader.start()
    assert stack.send(body=with_image()).status == 200


def test_a_reader_that_is_killed_costs_only_what_is_on_its_way(stack: Stack) -> None:
    before, body = len(stack.log.lines), with_image()
    with on_the_way(stack, body) as connection:
        eventually(lambda: reading(stack) == 1)
        stack.reader.process.send_signal(signal.SIGKILL)
        stack.reader.process.wait(60)
        assert error(connection.getresponse()) == (502, "bad_gateway")
    (line,) = eventually(lambda: lines(stack, before))
    assert (line.status, line.end, line.key) == (502, "server_error", "good")
    stack.reader.start()
    assert stack.send(body=body).status == 200


@pytest.mark.parametrize("which", ["gateway", "reader"])
def test_a_reload_costs_no_large_request(stack: Stack, which: str) -> None:
    body = with_image("coder")
    with on_the_way(stack, body) as connection:
        eventually(lambda: reading(stack) == 1)
        proxy = getattr(stack, which)
        proxy.reload()
        assert rest(connection, body).status == 200
    proxy.wait_for_replaced()
    assert len(stack.engines["coder"].requests) == 1


def test_a_client_that_leaves_before_it_has_sent_all_of_it_is_named(stack: Stack) -> None:
    before = len(stack.log.lines)
    with on_the_way(stack, with_image()):
        eventually(lambda: reading(stack) == 1)
    eventually(lambda: lines(stack, before))
    assert stack.send().status == 200
    eventually(lambda: len(stack.log.lines) >= before + 2)
    left, _ = lines(stack, before)
    assert (left.end, left.key, left.path, left.replica) == ("client_aborted", "good", PATH, None)


def test_a_client_that_leaves_before_its_answer_is_named_once(stack: Stack) -> None:
    before, engine = len(stack.log.lines), stack.engines["assistant"]
    engine.hold, body = True, with_image()
    with on_the_way(stack, body) as connection:
        connection.send(body[len(body) // 2 :])
        eventually(lambda: engine.requests)
    eventually(lambda: lines(stack, before))
    engine.hold = False
    engine.let_go()
    assert stack.send().status == 200
    eventually(lambda: len(stack.log.lines) >= before + 2)
    left, _ = lines(stack, before)
    assert (left.end, left.key, left.replica) == ("client_aborted", "good", "gpu1/assistant@1")


def resident(stack: Stack) -> int:
    """Return how much memory the reader's worker has, in bytes."""
    status = Path(f"/proc/{stack.reader.workers[0]}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def figure(settings: Settings, requests: int) -> int:
    """Return the memory that the documentation promises for the reader (docs/gateways.md)."""
    buffer = settings.max_request_bytes + HEADER_BYTES
    return 3 * requests * buffer + 3 * READER_THREADS * buffer + 50 * 2**20


def test_memory_is_bounded_by_the_documented_figure() -> None:
    with running_stack() as stack:
        body = with_image(image="a" * (stack.settings.max_request_bytes - 1000))
        most = 0
        for _ in range(3):
            with on_the_way(stack, body, sent=0.999) as one, on_the_way(stack, body, sent=0.999) as two:
                eventually(lambda: reading(stack) == 2)
                for connection in (one, two):
                    connection.send(body[int(len(body) * 0.999) :])
                assert [connection.getresponse().status for connection in (one, two)] == [200, 200]
            most = max(most, resident(stack))
        assert most <= figure(stack.settings, 2)
