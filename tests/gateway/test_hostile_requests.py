"""Requests that would take a gateway's memory, an engine's slots or an engine itself from the other clients."""

from __future__ import annotations

import json
import socket
import ssl
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.gateway.stack import KEYS, Stack
from tests.gateway.test_requests import error

LARGEST = 20 * 2**20
HEADERS = {"host": "llm.lab", "authorization": f"Bearer {KEYS['good']}"}


def body_of(size: int, model: str = "coder") -> bytes:
    """Return a request of this many bytes that names its model last."""
    empty = len(json.dumps({"input": "", "model": model}))
    return json.dumps({"input": "x" * (size - empty), "model": model}).encode()


def nested(depth: int, opening: str, closing: str) -> bytes:
    return b'{"model":"assistant","x":' + (opening * depth + "0" + closing * depth).encode() + b"}"


def connected(stack: Stack) -> ssl.SSLSocket:
    trusted = ssl.create_default_context(cadata=stack.ca.pem)
    plain = socket.create_connection(("127.0.0.1", stack.settings.port), timeout=60)
    return trusted.wrap_socket(plain, server_hostname="llm.lab")


def opened(stack: Stack, **headers: str) -> ssl.SSLSocket:
    """Return a connection on which the head of a request has been sent."""
    lines = [f"{name}: {value}" for name, value in (HEADERS | headers).items()]
    connection = connected(stack)
    connection.sendall("\r\n".join(["POST /v1/embeddings HTTP/1.1", *lines, "", ""]).encode())
    return connection


def answer(connection: ssl.SSLSocket) -> HTTPResponse:
    response = HTTPResponse(connection)
    response.begin()
    return response


def test_the_largest_request_is_passed_on_whole_and_a_larger_one_is_refused(stack: Stack) -> None:
    body = body_of(LARGEST)
    assert stack.send(body=body, path="/v1/embeddings").status == 200
    # All of it arrives, with the salt at its end.
    assert stack.engines["coder"].requests[0].body.startswith(body[:-1])
    # The head says how much is coming: nothing of it is waited for.
    assert error(answer(opened(stack, **{"content-length": str(LARGEST + 1)}))) == (413, "request_too_large")
    assert len(stack.engines["coder"].requests) == 1


@pytest.mark.parametrize("ends", [True, False])
def test_a_request_that_does_not_say_how_large_it_is_is_refused_when_it_is_too_large(
    stack: Stack, ends: bool
) -> None:
    connection = opened(stack, **{"transfer-encoding": "chunked"})
    body = body_of(LARGEST + 1) if ends else b'{"model":"coder","input":"' + b"x" * 2 * LARGEST
    for start in range(0, len(body), 65536):
        piece = body[start : start + 65536]
        connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
    if ends:
        connection.sendall(b"0\r\n\r\n")
    assert error(answer(connection)) == (413, "request_too_large")
    assert not stack.engines["coder"].requests


def test_large_headers_leave_no_way_around_the_limit(stack: Stack) -> None:
    refused = stack.send(headers={f"x-{number}": "y" * 8000 for number in range(6)})
    assert error(refused) == (431, "headers_too_large")
    assert not stack.engines["assistant"].requests


def test_a_long_address_leaves_no_way_around_the_limit(stack: Stack) -> None:
    body = b'{"model":"assistant","x":' + b"[" * 200_000
    refused = stack.send(path=f"/v1/chat/completions?{'x' * 70_000}", body=body)
    assert error(refused) == (431, "headers_too_large")
    assert not stack.engines["assistant"].requests


@pytest.mark.parametrize("key", ["chat_parser", "grammar_triggers", "grammar_lazy", "ch\\u0061t_parser"])
def test_what_only_an_engine_sets_is_refused(stack: Stack, key: str) -> None:
    assert error(stack.send(body=f'{{"{key}":[],"model":"assistant"}}'.encode())) == (400, "unsupported_parameter")
    assert not stack.engines["assistant"].requests
    # A tool of a client may have a parameter of that name.
    inside = f'{{"tools":[{{"{key}":[]}}],"model":"assistant"}}'
    assert stack.send(body=inside.encode()).status == 200


def test_a_request_that_cannot_be_checked_is_refused(stack: Stack) -> None:
    script = Path(stack.gateway.paths.configuration, "nesting.lua")
    text = script.read_text()
    try:
        script.write_text(text.replace("local at, depth", "error('broken')\n    local at, depth"))
        stack.gateway.reload()
        assert error(stack.send()) == (503, "unavailable")
    finally:
        script.write_text(text)
        stack.gateway.reload()
    assert stack.send().status == 200


def test_a_client_cannot_ask_an_engine_to_take_over_the_connection(stack: Stack) -> None:
    assert stack.send(headers={"connection": "upgrade", "upgrade": "x"}).status == 200
    (received,) = stack.engines["assistant"].requests
    assert "upgrade" not in received.headers


def test_requests_that_stop_arriving_hold_no_slot(stack: Stack) -> None:
    stalled = [opened(stack, **{"content-length": str(3 * LARGEST)}) for _ in range(4)]
    for connection in stalled:
        # The gateway may have closed the connection by now.
        with suppress(OSError):
            connection.sendall(b'{"model":"coder","input":"' + b"x" * 2 * LARGEST)
    assert stack.send("coder").status == 200
    assert [json.loads(one.body)["model"] for one in stack.engines["coder"].requests] == ["coder"]
    for connection in stalled:
        connection.close()


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"x":', "}"), ('[{"x":[', "]}]")])
def test_deep_nesting_is_refused(stack: Stack, opening: str, closing: str) -> None:
    refused = stack.send(body=nested(200_000, opening, closing)[:LARGEST])
    assert error(refused) == (400, "nested_too_deeply")
    assert error(stack.send(body=nested(100, opening, closing))) == (400, "nested_too_deeply")
    assert not stack.engines["assistant"].requests
    assert stack.send(body=nested(33, opening, closing)).status == 200


@pytest.mark.parametrize(
    "value",
    [
        {"messages": [{"content": "[" * 5000 + '"' * 3000 + "\\" + "(" * 5000}]},
        {"messages": [{"content": '\\"[' * 5000}]},
        {"messages": [{"content": "pattern"}, {"content": "(" * 5000}]},
        {"pattern": "(" * 1000},
        {"x": [[], [], {}, {}] * 5000},
    ],
)
def test_what_only_looks_deep_is_passed_on(stack: Stack, value: dict[str, object]) -> None:
    assert stack.send(body=json.dumps({**value, "model": "assistant"}).encode()).status == 200


@pytest.mark.parametrize("key", ["pattern", "grammar", "regex", "guided_regex", "p\\u0061ttern"])
@pytest.mark.parametrize("group", ["(", "\\u0028"])
def test_a_pattern_with_too_many_groups_is_refused(stack: Stack, key: str, group: str) -> None:
    text = f'{{"model":"assistant","schema":{{"{key}" : "{group * 1001}"}}}}'
    assert error(stack.send(body=text.encode())) == (400, "too_many_groups")
    assert not stack.engines["assistant"].requests


@pytest.mark.parametrize(
    "members",
    [
        rb'"grammar":"root ::= \"a\"{9,1}"',
        rb'"grammar":"root ::= \"a\"{ 9 ,\n1 }"',
        rb'"grammar":"root ::= \"#\"{\u0039,1}"',
        rb'"grammar":"root ::= \"a\"{9, # }\n1}"',
        rb'"grammar":"root ::= \"a\"\u007b9,1}"',
        rb'"gr\u0061mmar":"root ::= \"a\"{9,1}"',
        rb'"schema":{"pattern":"^a{1,2}b{9,1}$"}',
        rb'"schema":{"minLength":9,"maxLength":1}',
        rb'"schema":{"maxLength" : 1.0e0,"type":"string","min\u004cength" :9}',
        rb'"schema":{"minLength":9,"maxLength":10,"x":{"maxLength":11},"maxLength":1}',
        b'"schema":{"type":"array","items":{},"minItems":9,"maxItems":2}',
        b'"schema":{"minLength":9,"maxLength":4294967297}',
        b'"schema":{"minLength":-1}',
        b'"schema":{"type":"integer","minimum":2000000000000000}',
        b'"schema":{"type":"integer","maximum":-2e15}',
        b'"schema":{"type":"integer","exclusiveMinimum":1700000000000000}',
        b'"pattern":"^a{9x,1}$"',
        b'"pattern":"^a{+9,1}$"',
        b'"pattern":"^a{9,1x}$"',
    ],
)
def test_a_repetition_whose_end_is_below_its_start_is_refused(stack: Stack, members: bytes) -> None:
    """llama-server counts up to it without end, and its probe then kills it (llama.cpp pull request 25602)."""
    refused = stack.send(body=b'{"model":"assistant",' + members + b"}")
    assert error(refused) == (400, "reversed_range")
    assert not stack.engines["assistant"].requests


@pytest.mark.parametrize(
    "members",
    [
        b'"grammar":"root ::= [a]{1,9} [b]{9} [c]{9,} # {9 1}"',
        b'"messages":[{"content":"{9,1}"}]',
        b'"schema":{"minLength":1,"maxLength":9,"items":{"minLength":20}}',
        b'"schema":{"minItems":2,"maxItems":2,"minLength":9,"minimum":-999999999999999,"maximum":1e14}',
        b'"messages":[{"tool_calls":[{"function":{"arguments":"{\\"a\\":[1,{\\"b\\":[2]}]}"}}]}]',
        b'"schema":{"anyOf":[{"minLength":9},{"maxLength":1}],"properties":{"minLength":{},"maxLength":{"a":1}}}',
    ],
)
def test_what_only_looks_like_such_a_repetition_is_passed_on(stack: Stack, members: bytes) -> None:
    assert stack.send(body=b'{"model":"assistant",' + members + b"}").status == 200


@pytest.mark.parametrize("opening", [b"[", b"\\u005b"])
def test_arguments_that_nest_too_deeply_within_their_string_are_refused(stack: Stack, opening: bytes) -> None:
    """llama-server reads them as JSON, too."""
    call = b'{"function":{"name":"f","arguments":"' + opening * 101 + b'"}}'
    refused = stack.send(body=b'{"model":"assistant","messages":[{"tool_calls":[' + call + b"]}]}")
    assert error(refused) == (400, "nested_too_deeply")
    assert not stack.engines["assistant"].requests


def test_a_request_that_ended_its_engine_is_not_tried_again(stack: Stack) -> None:
    stack.engines["assistant"].crash = True
    assert error(stack.send()) == (502, "bad_gateway")
    assert len(stack.engines["assistant"].requests) == 1


def test_http_2_is_not_spoken_without_an_offer(stack: Stack) -> None:
    with connected(stack) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_an_engines_headers_say_nothing_but_what_its_answer_is(stack: Stack) -> None:
    own = {
        "set-cookie": "a=b",
        "x-request-id": "engine",
        "x-rackwright-replica": "gpu9/other@1",
        "server": "llama.cpp",
    }
    own |= {"location": "https://evil.example", "cache-control": "no-store\x1b[2J", "retry-after": "7"}
    stack.engines["assistant"].headers = own
    for stream in (False, True):
        response = stack.send(stream=stream)
        body = response.read()
        assert body.endswith(b"[DONE]\n\n") if stream else json.loads(body)["usage"]
        named = {name.lower() for name, _ in response.getheaders()}
        assert not named & {"set-cookie", "x-rackwright-replica", "server", "location", "cache-control"}
        assert response.getheader("x-request-id") != "engine"
        assert response.getheader("retry-after") == "7"


def test_negative_token_counts_are_no_counts(stack: Stack) -> None:
    stack.engines["assistant"].answer = b'{"usage":{"prompt_tokens":-5,"completion_tokens":-1}}'
    body = b'{"model":"assistant"}'
    seen = stack.log.line(stack.send(body=body).getheader("x-request-id") or "-")
    assert (seen.prompt_tokens, seen.completion_tokens, seen.estimated) == (len(body) // 4, 0, True)


def test_a_key_in_a_path_is_not_logged(stack: Stack) -> None:
    response = stack.send(path=f"/v1/{KEYS['good']}/chat")
    assert stack.log.line(response.getheader("x-request-id") or "-").path == "/v1/_/chat"


def test_a_name_that_goes_on_after_a_nul_is_another_name(stack: Stack) -> None:
    response = stack.send("assistant\0 and more")
    assert (response.status, json.load(response)["error"]["code"]) == (404, "model_not_found")
    assert stack.engines["assistant"].requests == []
