"""What the load's client accepts as an answer, with servers that each break one promise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx2
import openai
import pytest

from tests.lab.load.ask import Client, Request, ask
from tests.lab.load.sample import Counted, Kind, Sample, counted

TOKENS = 2
TEXT = [{"choices": [{"index": 0, "finish_reason": None, "delta": {"content": " a"}}]}] * TOKENS
END = {"choices": [{"index": 0, "finish_reason": "length", "delta": {}}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": TOKENS, "total_tokens": 3}}
WHOLE = {
    "object": "chat.completion",
    "choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": " a a"}}],
    "usage": USAGE["usage"],
}


class Broken(httpx2.AsyncByteStream):
    """A body whose connection breaks after these bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self):
        yield self._content
        raise httpx2.RemoteProtocolError("peer closed connection")


def asked(response: httpx2.Response | Exception, kind: Kind = Kind.STREAM) -> Sample:
    """Return the sample of one request that gets this response."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if isinstance(response, Exception):
            raise response
        return response

    async def one() -> Sample:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
        library = openai.AsyncOpenAI(base_url="http://gate1/v1", api_key="rw-test", max_retries=0, http_client=http)
        return await ask(Client(library, "gate1", True, True), Request(7, kind, TOKENS))

    return asyncio.run(one())


def stream(*events: object, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def test_a_whole_answer_counts():
    sample = asked(httpx2.Response(200, headers={"x-request-id": "r1"}, content=stream(*TEXT, END, USAGE)))
    assert (sample.failure, sample.tokens, sample.request) == (None, TOKENS, "r1")
    assert asked(httpx2.Response(200, json=WHOLE), Kind.COMPLETION).failure is None


def broken() -> Iterator[tuple[str, httpx2.Response | Exception]]:
    yield "no [DONE]", httpx2.Response(200, content=stream(*TEXT, END, USAGE, done=False))
    yield "no finish reason", httpx2.Response(200, content=stream(*TEXT, USAGE))
    yield "another length", httpx2.Response(200, content=stream(*TEXT[1:], END, USAGE))
    yield "another length", httpx2.Response(200, content=stream(*TEXT, END))
    yield "something after [DONE]", httpx2.Response(200, content=stream(*TEXT, END, USAGE) + b"data: {}\n\n")
    yield "an error in the stream", httpx2.Response(200, content=stream(TEXT[0], {"error": {"message": "no"}}))
    yield (
        "broken stream",
        httpx2.Response(200, headers={"x-request-id": "r"}, stream=Broken(stream(*TEXT, done=False))),
    )
    yield "status 503", httpx2.Response(503, json={"error": {"message": "none is ready"}})
    yield "no answer", httpx2.ConnectError("refused")
    yield "timeout", httpx2.ReadTimeout("late")


@pytest.mark.parametrize(("failure", "response"), list(broken()))
def test_what_is_not_whole_is_named(failure: str, response: httpx2.Response | Exception):
    assert asked(response).failure == failure


def test_a_short_completion_doesnt_count():
    short = {**WHOLE, "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
    assert asked(httpx2.Response(200, json=short), Kind.COMPLETION).failure == "another length"


def test_failures_are_counted_by_what_they_are():
    samples = [asked(response) for _, response in broken()][:3]
    assert counted(samples) == Counted(3, 0, 0, {"no [DONE]": 1, "no finish reason": 1, "another length": 1}, {})
    assert counted(samples).lost == 3
