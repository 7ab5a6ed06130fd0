"""Tokens in the access log, of streams too, whichever the dialect: real HAProxy, stand-in engines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rackwright.roles.gateway.access_log import Access
from tests.gateway.stack import Stack, eventually

CHUNK = b'data: {"choices":[{"delta":{"content":"Red"}}]}\n\n'
USAGE = (
    b'data: {"choices":[],"usage":{"prompt_tokens":70,"completion_tokens":3,'
    b'"prompt_tokens_details":{"cached_tokens":64}}}\n\n'
)
DONE = b"data: [DONE]\n\n"
TIMINGS = b'data: {"choices":[{"finish_reason":"stop"}],"timings":{"cache_n":16,"prompt_n":5,"predicted_n":4}}\n\n'
MESSAGES = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":6,'
    b'"cache_read_input_tokens":64,"output_tokens":1}}}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":9}}\n\n',
)
RESPONSES = (
    b'data: {"type":"response.output_text.delta","delta":"\\"usage\\":{\\"input_tokens\\":1}"}\n\n',
    b'data: {"type":"response.completed","response":{"usage":{"input_tokens":8,"input_tokens_details":'
    b'{"cached_tokens":2},"output_tokens":5}}}\n\n',
)


def line(stack: Stack, model: str = "coder", **sent: object) -> tuple[Access, bytes]:
    """Return the line of a stream, and what the client got."""
    body = json.dumps({"messages": [], "model": model, "stream": True, **sent}).encode()
    response = stack.send(body=body)
    got = response.read()
    return stack.log.line(response.headers["x-request-id"]), got


def counts(found: Access) -> tuple[int | None, int | None, int | None, bool | None]:
    return found.prompt_tokens, found.cached_tokens, found.completion_tokens, found.estimated


def test_vllm_is_asked_for_usage_that_the_client_does_not_get(stack: Stack) -> None:
    engine = stack.engines["coder"]
    engine.events = (CHUNK, CHUNK, CHUNK, USAGE, DONE)
    found, got = line(stack)
    assert counts(found) == (70, 64, 3, None)
    assert got == CHUNK * 3 + DONE
    assert json.loads(engine.requests[-1].body)["stream_options"] == {"include_usage": True}


def test_a_client_that_asks_for_usage_gets_it(stack: Stack) -> None:
    engine = stack.engines["coder"]
    engine.events = (CHUNK, USAGE, DONE)
    found, got = line(stack, stream_options={"include_usage": True})
    assert counts(found) == (70, 64, 3, None)
    assert got == CHUNK + USAGE + DONE


@pytest.mark.parametrize("cut", range(1, len(USAGE), 17))
def test_a_usage_that_comes_in_two_parts_is_one(stack: Stack, cut: int) -> None:
    engine = stack.engines["coder"]
    engine.hold, engine.events = True, (CHUNK + USAGE[:cut], USAGE[cut:] + DONE)
    engine.let_go()
    found, got = line(stack)
    assert counts(found) == (70, 64, 3, None)
    assert got == CHUNK + DONE


def test_llama_servers_timings_are_counted_and_go_no_further(stack: Stack) -> None:
    stack.engines["assistant"].events = (CHUNK, CHUNK, TIMINGS, DONE)
    found, got = line(stack, "assistant")
    assert counts(found) == (21, 16, 4, None)
    assert b"cache_n" not in got


@pytest.mark.parametrize(("events", "expected"), [(MESSAGES, (70, 64, 9, None)), (RESPONSES, (8, 2, 5, None))])
def test_other_dialects_count_too(
    stack: Stack, events: tuple[bytes, ...], expected: tuple[int | None, int | None, int | None, bool | None]
) -> None:
    stack.engines["coder"].events = events
    found, got = line(stack)
    assert counts(found) == expected
    assert got == b"".join(events)


def test_a_stream_without_usage_is_estimated(stack: Stack) -> None:
    stack.engines["coder"].events = (CHUNK,) * 5 + (DONE,)
    found, _ = line(stack)
    assert (found.completion_tokens, found.estimated) == (5, True)
    assert found.prompt_tokens is not None


def test_a_client_that_leaves_is_estimated(stack: Stack) -> None:
    engine, before = stack.engines["coder"], len(stack.log.lines)
    engine.hold, engine.events = True, (CHUNK,) * 5
    response = stack.send("coder", stream=True)
    assert response.read(len(CHUNK)) == CHUNK
    response._connection.close()  # type: ignore[attr-defined]
    response.close()
    eventually(engine.is_left)
    eventually(lambda: len(stack.log.lines) > before)
    found = json.loads(stack.log.lines[before])
    assert (found["end"], found["estimated"]) == ("client_aborted", True)
    assert found["completion_tokens"] >= 1


def test_a_refused_request_took_no_tokens(stack: Stack) -> None:
    response = stack.send("nobody")
    assert counts(stack.log.line(response.headers["x-request-id"])) == (None, None, None, None)
    engine = stack.engines["coder"]
    engine.answer, engine.status = b'{"error":{"message":"no"}}', 400
    response = stack.send("coder")
    assert counts(stack.log.line(response.headers["x-request-id"])) == (None, None, None, None)


def test_a_plain_answer_larger_than_a_buffer_is_counted(stack: Stack) -> None:
    usage = '"usage":{"prompt_tokens":7,"completion_tokens":3}'
    for text in (f'{{"text":"{"x" * 900_000}",{usage}}}', f'{{{usage},"data":"{"x" * 900_000}"}}'):
        for model in ("coder", "assistant"):
            stack.engines[model].answer = text.encode()
            response = stack.send(model)
            assert response.read() == text.encode()
            assert counts(stack.log.line(response.headers["x-request-id"])) == (7, None, 3, None)


def test_a_fault_of_the_counting_costs_a_count_and_no_answer(stack: Stack) -> None:
    script = Path(stack.gateway.paths.configuration, "tokens.lua")
    text = script.read_text()
    stack.engines["coder"].events = (CHUNK, USAGE, DONE)
    try:
        script.write_text(text.replace("    local found, at = false, 1\n", "    error('broken')\n"))
        stack.gateway.reload()
        found, got = line(stack)
        assert got.startswith(CHUNK)
        assert got.endswith(DONE)
        assert found.estimated is True
    finally:
        script.write_text(text)
        stack.gateway.reload()
