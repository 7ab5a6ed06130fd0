"""One request as a client makes it, by the openai library without retries, and what makes an answer complete."""

from __future__ import annotations

import json
import ssl
import time
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from tests.lab.load.sample import Kind, Sample

MODEL = "assistant"
TIMEOUT = 120
"""Seconds between two bytes of an answer."""
KEPT_SECONDS = 60
"""How long a kept connection may be idle: less than the gateway allows."""


class NotWhole(Exception):
    """An answer arrived, but it isn't the complete one that was asked for."""


@dataclass
class Heard:
    """What has arrived of an answer so far."""

    request: str | None = None
    first: float | None = None
    tokens: int = 0
    chunks: int = 0
    fingerprint: str | None = None
    finish: str | None = None
    done: bool = False


@dataclass(frozen=True)
class Client:
    library: openai.AsyncOpenAI
    gateway: str
    kept_alive: bool
    exact: bool
    """Each token arrives in its own chunk, as from a paced stand-in; a real engine may join some."""


def client(address: str, ca: str, key: str, *, kept_alive: bool, exact: bool) -> Client:
    """Return a client of a gateway that keeps its connections, or opens a new one for each request."""
    kept = None if kept_alive else 0
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=kept, keepalive_expiry=KEPT_SECONDS)
    http = openai.DefaultAsyncHttpxClient(verify=_trusting(ca), limits=limits, trust_env=False)
    library = openai.AsyncOpenAI(
        base_url=f"https://{address}/v1", api_key=key, max_retries=0, timeout=TIMEOUT, http_client=http
    )
    return Client(library, address, kept_alive, exact)


def _trusting(ca: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca)


@dataclass(frozen=True)
class Request:
    number: int
    kind: Kind
    tokens: int

    @property
    def asked(self) -> dict[str, Any]:
        """Return the arguments of the library's call."""
        message = {"role": "user", "content": f"Count to {self.number}."}
        asked = {"model": MODEL, "messages": [message], "max_tokens": self.tokens, "temperature": 0}
        # Otherwise, a real engine would stop when its model does.
        asked["extra_body"] = {"ignore_eos": True}
        if self.kind is not Kind.COMPLETION:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        return asked


async def ask(client: Client, request: Request) -> Sample:
    """Make the request and judge the answer. Never raises: a failure is a sample, too."""
    heard, failure, detail = Heard(), None, ""
    began, clock = time.time(), time.monotonic()
    try:
        if request.kind is Kind.COMPLETION:
            await _complete(client, request, heard)
        else:
            await _stream(client, request, heard, clock)
        _judge(client, request, heard)
    except NotWhole as error:
        failure = str(error)
    except Exception as error:
        failure, detail = _named(error, heard), _chain(error)
    return Sample(
        number=request.number,
        kind=request.kind,
        kept_alive=client.kept_alive,
        gateway=client.gateway,
        began=round(began, 4),
        seconds=round(time.monotonic() - clock, 4),
        first=heard.first and round(heard.first, 4),
        wanted=request.tokens,
        tokens=heard.tokens,
        fingerprint=heard.fingerprint,
        request=heard.request,
        failure=failure,
        detail=detail,
    )


async def _complete(client: Client, request: Request, heard: Heard) -> None:
    raw = await client.library.chat.completions.with_raw_response.create(**request.asked)
    heard.request = raw.headers.get("x-request-id")
    answer = raw.parse()
    (choice,) = answer.choices
    heard.finish, heard.fingerprint = choice.finish_reason, answer.system_fingerprint
    heard.tokens = answer.usage.completion_tokens if answer.usage else 0
    heard.chunks, heard.done = len((choice.message.content or "").split()), True


async def _stream(client: Client, request: Request, heard: Heard, clock: float) -> None:
    """Read the stream's own lines: the library hides whether [DONE] arrived."""
    async with client.library.chat.completions.with_streaming_response.create(**request.asked) as answer:
        heard.request = answer.headers.get("x-request-id")
        async for line in answer.iter_lines():
            if heard.done and line:
                raise NotWhole("something after [DONE]")
            if line == "data: [DONE]":
                heard.done = True
            elif line:
                _hear(line, heard, clock)


def _hear(line: str, heard: Heard, clock: float) -> None:
    if not line.startswith("data: {"):
        raise NotWhole("a line that is no chunk")
    chunk = json.loads(line.removeprefix("data: "))
    if "error" in chunk:
        raise NotWhole("an error in the stream")
    heard.fingerprint = chunk.get("system_fingerprint")
    heard.tokens = (chunk.get("usage") or {}).get("completion_tokens", heard.tokens)
    for choice in chunk["choices"]:
        heard.finish = choice["finish_reason"] or heard.finish
        if choice["delta"].get("content"):
            heard.chunks += 1
            heard.first = heard.first or time.monotonic() - clock


def _judge(client: Client, request: Request, heard: Heard) -> None:
    """Raise NotWhole unless the whole answer arrived."""
    if not heard.done:
        raise NotWhole("no [DONE]")
    if heard.finish != "length":
        raise NotWhole("no finish reason" if heard.finish is None else f"finish reason {heard.finish}")
    if heard.tokens != request.tokens or (client.exact and heard.chunks != request.tokens):
        raise NotWhole("another length")
    if not heard.chunks:
        raise NotWhole("no text")


def _named(error: Exception, heard: Heard) -> str:
    if isinstance(error, openai.APIStatusError):
        heard.request = error.response.headers.get("x-request-id")
        return f"status {error.status_code}"
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        return "timeout"
    if heard.request:
        return "broken stream"
    return "no answer" if isinstance(error, openai.APIConnectionError) else type(error).__name__


def _chain(error: BaseException | None) -> str:
    """Describe the error and its causes, without what was sent."""
    told = []
    while error:
        told.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return " < ".join(told)[:400]
