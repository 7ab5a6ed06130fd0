"""What each runtime makes of a field of OpenAI's API: docs/api.md says it, and these cases ask a real engine."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
SCHEMA = {
    "type": "object",
    "properties": {"color": {"enum": ["red", "blue"]}},
    "required": ["color"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "paint", "description": "Paint a wall.", "parameters": SCHEMA}}
NAMED = {"type": "function", "function": {"name": "paint"}}
TOKEN = 28
"""A token of SmolLM2."""


class Honored(StrEnum):
    YES = "yes"
    IGNORED = "ignored"
    REFUSED = "refused"
    """With 400."""


@dataclass(frozen=True)
class Sent:
    """A response to a request; of a stream, its chunks."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def choice(self) -> Any:
        return self.json["choices"][0]

    @property
    def content(self) -> str:
        return str(self.choice["message"]["content"] or "")

    @property
    def chunks(self) -> list[Any]:
        lines = [line.removeprefix("data: ") for line in self.text.split("\n") if line.startswith("data: ")]
        return [json.loads(line) for line in lines if line != "[DONE]"]


class Send(Protocol):
    def __call__(self, path: str, body: dict[str, Any]) -> Sent: ...


@dataclass(frozen=True)
class Field:
    """One field of a request, as the table in docs/api.md names it."""

    name: str
    path: str
    llama_cpp: Honored
    vllm: Honored
    more: dict[str, Any]
    """The field, and what it needs beside it."""
    shows: Callable[[Sent], bool]
    """Whether the answer shows that the field counts."""

    def asked(self, send: Send) -> Honored:
        """Ask an engine, and return what it makes of the field. Raise AssertionError for any other answer."""
        sent = send(self.path, {**_BODIES[self.path], **self.more})
        if sent.status == 400:
            return Honored.REFUSED
        assert sent.status == 200, f"{self.name}: {sent.status} {sent.text[:300]}"
        return Honored.YES if self.shows(sent) else Honored.IGNORED


_MESSAGES = [{"role": "user", "content": "Name three colors."}]
_BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": _MESSAGES, "max_tokens": 12, "temperature": 0},
    COMPLETIONS: {"prompt": "Three colors are red,", "max_tokens": 12, "temperature": 0},
    EMBEDDINGS: {"input": "red"},
}


def _tokens(sent: Sent) -> int:
    return int(sent.json["usage"]["completion_tokens"])


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _is_painted(text: str) -> bool:
    return _is_json(text) and json.loads(text).get("color") in ("red", "blue")


def _calls_tool(sent: Sent) -> bool:
    calls = [call["function"] for call in sent.choice["message"].get("tool_calls") or []]
    return [call["name"] for call in calls] == ["paint"] and _is_painted(calls[0]["arguments"])


def _is_base64(sent: Sent) -> bool:
    found = sent.json["data"][0]["embedding"]
    return isinstance(found, str) and len(base64.b64decode(found)) // _FLOAT > 100


_ASKED_FOR_JSON = [{"role": "user", "content": "Say hello."}]
_FLOAT = 4
"""Bytes."""
_ENOUGH = 48
_WITH_SUFFIX = 30
_WITH_TOOLS = 60
"""The prompt has fewer tokens unless the engine puts the suffix, or the tools, into it."""

FIELDS = (
    Field(
        "`max_tokens`",
        CHAT,
        Honored.YES,
        Honored.YES,
        {"max_tokens": 3},
        lambda sent: _tokens(sent) == 3,
    ),
    Field(
        "`max_completion_tokens`",
        CHAT,
        Honored.YES,
        Honored.YES,
        {"max_tokens": None, "max_completion_tokens": 3},
        lambda sent: _tokens(sent) == 3,
    ),
    Field(
        "`stop`",
        CHAT,
        Honored.YES,
        Honored.YES,
        {"stop": ["Red", "red"]},
        lambda sent: sent.content.strip() == "1.",
    ),
    Field(
        "`n`", CHAT, Honored.YES, Honored.YES, {"n": 2, "temperature": 1}, lambda sent: len(sent.json["choices"]) == 2
    ),
    Field(
        "`logit_bias`",
        CHAT,
        Honored.YES,
        Honored.YES,
        {"logit_bias": {str(TOKEN): 100}, "max_tokens": 4},
        lambda sent: len(set(sent.content.strip())) <= 1 and bool(sent.content.strip()),
    ),
    Field(
        "`logprobs`, `top_logprobs`",
        CHAT,
        Honored.YES,
        Honored.YES,
        {"logprobs": True, "top_logprobs": 2, "max_tokens": 2},
        lambda sent: len(sent.choice["logprobs"]["content"][0]["top_logprobs"]) == 2,
    ),
    Field(
        "`response_format: json_object`",
        CHAT,
        Honored.IGNORED,
        Honored.YES,
        {"messages": _ASKED_FOR_JSON, "response_format": {"type": "json_object"}, "max_tokens": _ENOUGH},
        lambda sent: sent.content.lstrip().startswith("{"),
    ),
    Field(
        "`response_format: json_schema`",
        CHAT,
        Honored.YES,
        Honored.YES,
        {
            "messages": _ASKED_FOR_JSON,
            "response_format": {"type": "json_schema", "json_schema": {"name": "paint", "schema": SCHEMA}},
            "max_tokens": _ENOUGH,
        },
        lambda sent: _is_painted(sent.content),
    ),
    Field(
        "`tools`, `tool_choice: auto`",
        CHAT,
        Honored.IGNORED,
        Honored.REFUSED,
        {"tools": [TOOL], "tool_choice": "auto", "max_tokens": 4},
        lambda sent: int(sent.json["usage"]["prompt_tokens"]) > _WITH_TOOLS,
    ),
    Field(
        "`tool_choice: required`",
        CHAT,
        Honored.IGNORED,
        Honored.REFUSED,
        {"tools": [TOOL], "tool_choice": "required", "max_tokens": _ENOUGH},
        _calls_tool,
    ),
    Field(
        "`tool_choice` with a name",
        CHAT,
        Honored.IGNORED,
        Honored.REFUSED,
        {"tools": [TOOL], "tool_choice": NAMED, "max_tokens": _ENOUGH},
        _calls_tool,
    ),
    Field(
        "`stream_options: include_usage`",
        CHAT,
        Honored.YES,
        Honored.YES,
        {"stream": True, "stream_options": {"include_usage": True}},
        lambda sent: any((chunk.get("usage") or {}).get("completion_tokens") for chunk in sent.chunks),
    ),
    Field(
        "`prompt` as a list",
        COMPLETIONS,
        Honored.YES,
        Honored.YES,
        {"prompt": ["One, two,", "Red,"]},
        lambda sent: len(sent.json["choices"]) == 2,
    ),
    Field(
        "`echo`",
        COMPLETIONS,
        Honored.IGNORED,
        Honored.YES,
        {"echo": True},
        lambda sent: sent.choice["text"].startswith("Three colors"),
    ),
    Field(
        "`best_of`",
        COMPLETIONS,
        Honored.IGNORED,
        Honored.IGNORED,
        {"best_of": 2, "n": 1, "temperature": 1},
        lambda sent: _tokens(sent) > 12,
    ),
    Field(
        "`suffix`",
        COMPLETIONS,
        Honored.IGNORED,
        Honored.REFUSED,
        {"suffix": " and blue." * 20},
        lambda sent: int(sent.json["usage"]["prompt_tokens"]) > _WITH_SUFFIX,
    ),
    Field(
        "`input` as a list",
        EMBEDDINGS,
        Honored.YES,
        Honored.YES,
        {"input": ["red", "blue"]},
        lambda sent: len(sent.json["data"]) == 2,
    ),
    Field(
        "`input` as tokens",
        EMBEDDINGS,
        Honored.YES,
        Honored.YES,
        {"input": [1, 2, 3]},
        lambda sent: sent.json["usage"]["prompt_tokens"] == 3,
    ),
    Field(
        "`encoding_format: base64`", EMBEDDINGS, Honored.YES, Honored.YES, {"encoding_format": "base64"}, _is_base64
    ),
    Field(
        "`dimensions`",
        EMBEDDINGS,
        Honored.IGNORED,
        Honored.REFUSED,
        {"dimensions": 64},
        lambda sent: len(sent.json["data"][0]["embedding"]) == 64,
    ),
)


@dataclass(frozen=True)
class Seed:
    """Two answers at temperature 1 with one seed are the same, and with another seed they differ."""

    name: str = "`seed`"
    path: str = CHAT
    llama_cpp: Honored = Honored.YES
    vllm: Honored = Honored.YES

    def asked(self, send: Send) -> Honored:
        once, again, other = (send(CHAT, {**_BODIES[CHAT], "temperature": 1, "seed": seed}) for seed in (1, 1, 2))
        assert {once.status, again.status, other.status} == {200}
        return Honored.YES if once.content == again.content != other.content else Honored.IGNORED


ALL: tuple[Field | Seed, ...] = (Seed(), *FIELDS)
UNTRIED = "`logprobs`, `top_logprobs`"
"""Not tested with vLLM: its CPU build needs a C++ compiler for it, which hosts don't have."""
