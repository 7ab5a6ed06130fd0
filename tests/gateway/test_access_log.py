"""The access log's contract, as HAProxy writes it."""

from __future__ import annotations

import csv
import json
import socket
import threading

import pytest

from rackwright.roles.gateway.access_log import Access, parse_access
from tests.gateway.stack import DIGEST, KEYS, Stack, eventually


def line(stack: Stack, response_id: str | None) -> Access:
    assert response_id
    try:
        return stack.log.line(response_id)
    except AssertionError as error:
        # HAProxy drops a line if the log's socket is full.
        dropped = [row for row in stack.gateway.ask("show info").splitlines() if row.startswith("DroppedLogs")]
        raise AssertionError(f"{error}; {dropped}; the last lines: {stack.log.lines[-5:]}") from None


def clients(stack: Stack, column: str) -> int:
    """Return HAProxy's counters of its client connections."""
    rows = csv.DictReader(stack.gateway.ask("show stat").removeprefix("# ").splitlines())
    return next(int(row[column]) for row in rows if (row["pxname"], row["svname"]) == ("clients", "FRONTEND"))


def test_a_completed_request_has_all_fields(stack: Stack) -> None:
    response = stack.send("org/assistant:8b", path="/v1/chat/completions?secret=1")
    response.read()
    seen = line(stack, response.getheader("x-request-id"))
    assert (seen.key, seen.model, seen.replica, seen.digest) == ("good", "assistant", "gpu1/assistant@1", DIGEST)
    assert (seen.path, seen.stream, seen.status, seen.end) == ("/v1/chat/completions", False, 200, "completed")
    assert (seen.prompt_tokens, seen.completion_tokens) == (7, 3)
    assert seen.time.utcoffset() is not None
    assert seen.bytes > 200
    assert seen.queued_ms == 0
    assert None not in (seen.first_byte_ms, seen.total_ms)


def test_a_streams_first_byte_is_not_its_headers(stack: Stack) -> None:
    response = stack.send(stream=True)
    response.read()
    seen = line(stack, response.getheader("x-request-id"))
    assert (seen.stream, seen.end, seen.completion_tokens, seen.estimated) == (True, "completed", 0, True)


def test_a_refused_request_names_what_is_known(stack: Stack) -> None:
    wrong = line(stack, stack.send(key="wrong").getheader("x-request-id"))
    assert (wrong.status, wrong.end, wrong.key, wrong.model, wrong.replica) == (401, "refused", None, None, None)
    expired = line(stack, stack.send(key="expired").getheader("x-request-id"))
    assert (expired.status, expired.end, expired.key) == (401, "refused", "expired")
    scoped = line(stack, stack.send(key="scoped").getheader("x-request-id"))
    assert (scoped.status, scoped.end, scoped.model, scoped.replica) == (403, "refused", "assistant", None)


def test_a_connection_without_a_request_leaves_no_line(stack: Stack) -> None:
    before, open_now, taken = len(stack.log.lines), clients(stack, "scur"), clients(stack, "conn_tot")
    with socket.create_connection(("127.0.0.1", stack.settings.port)):
        eventually(lambda: clients(stack, "conn_tot") > taken)
    eventually(lambda: clients(stack, "scur") <= open_now)
    line(stack, stack.send().getheader("x-request-id"))
    assert len(stack.log.lines) == before + 1


def test_the_list_of_models_is_completed(stack: Stack) -> None:
    seen = line(stack, stack.send(path="/v1/models", method="GET").getheader("x-request-id"))
    assert (seen.status, seen.end, seen.stream, seen.queued_ms) == (200, "completed", None, None)


def test_a_client_that_leaves_is_named(stack: Stack) -> None:
    engine = stack.engines["assistant"]
    engine.hold = True
    response = stack.send(stream=True, headers={"connection": "keep-alive"})
    response.readline()
    response._connection.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]
    seen = line(stack, response.getheader("x-request-id"))
    assert (seen.end, seen.status, seen.replica) == ("client_aborted", 200, "gpu1/assistant@1")


def test_a_client_that_leaves_before_the_answer_is_named_with_its_replica(stack: Stack) -> None:
    engine = stack.engines["assistant"]
    engine.hold = True
    before = len(stack.log.lines)
    connection = stack.connect()
    body = json.dumps({"model": "assistant"})
    connection.request("POST", "/v1/completions", body, {"api-key": KEYS["good"]})
    eventually(lambda: engine.requests)
    connection.sock.shutdown(socket.SHUT_RDWR)
    seen = parse_access(eventually(lambda: stack.log.lines[before:])[0])
    assert (seen.end, seen.replica, seen.first_byte_ms) == ("client_aborted", "gpu1/assistant@1", None)


def test_an_engine_that_breaks_off_is_named(stack: Stack) -> None:
    stack.engines["assistant"].break_off = True
    response = stack.send(stream=True)
    with pytest.raises(Exception, match="IncompleteRead"):
        response.read()
    seen = line(stack, response.getheader("x-request-id"))
    assert (seen.end, seen.status, seen.replica) == ("server_error", 200, "gpu1/assistant@1")


def test_no_replica_up_is_a_server_error(stack: Stack) -> None:
    stack.agents["assistant"].state = "down"
    eventually(lambda: stack.down(stack.servers["assistant"]))
    seen = line(stack, stack.send().getheader("x-request-id"))
    assert (seen.status, seen.end, seen.replica) == (503, "server_error", None)


def test_a_queue_that_is_too_slow_is_a_timeout_and_told_in_milliseconds(stack: Stack) -> None:
    engine = stack.engines["assistant"]
    engine.hold = True
    threads = [threading.Thread(target=lambda: stack.send().read()) for _ in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(engine.requests) == 4)
    response = stack.send()
    seen = line(stack, response.getheader("x-request-id"))
    assert (response.status, seen.end, seen.replica) == (503, "timeout", None)
    assert seen.queued_ms is not None
    assert 2000 <= seen.queued_ms < 60_000
    engine.let_go(4)
    for thread in threads:
        thread.join()


def test_what_is_no_request_is_still_a_line(stack: Stack) -> None:
    before = len(stack.log.lines)
    with socket.create_connection(("127.0.0.1", stack.settings.port), timeout=60) as connection:
        connection.sendall(b"no TLS at all\r\n\r\n")
        connection.recv(100)

    def unasked() -> list[Access]:
        # The line of an earlier request may arrive after ours.
        return [entry for entry in map(parse_access, stack.log.lines[before:]) if entry.request is None]

    seen = eventually(unasked)[0]
    assert (seen.status, seen.end) == (0, "refused")


@pytest.mark.parametrize(
    "path", ["/a\\b", "/" + "x" * 5000, "/%00%ff", "/a{b}|c", "/v1/é".encode().decode("latin-1")]
)
def test_a_hostile_path_makes_a_short_good_line(stack: Stack, path: str) -> None:
    before = len(stack.log.lines)
    connection = stack.connect()
    connection.connect()
    request = f"GET {path} HTTP/1.1\r\nhost: llm.lab\r\napi-key: {KEYS['good']}\r\n\r\n"
    connection.sock.sendall(request.encode("latin-1"))
    assert connection.sock.recv(20).split()[1] in (b"400", b"404")
    # HAProxy writes the line of its own 400 when the client has closed the connection, too, or after a minute.
    connection.close()
    written = eventually(lambda: stack.log.lines[before:])[0]
    assert len(written) < 700
    # 0: HAProxy says so of its own 400.
    assert parse_access(written).status in (0, 400, 404)


def test_no_line_holds_a_key_or_a_body(stack: Stack) -> None:
    response = stack.send(body=b'{"model": "assistant", "prompt": "a very private thing"}')
    line(stack, response.getheader("x-request-id"))
    everything = "\n".join(stack.log.lines)
    assert "private" not in everything
    assert not any(key in everything for key in KEYS.values())
