"""The body of a recorded request, as it is sent to one replica to measure it."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from rackwright.migrate.features.unsent import without_unsent
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.request_size import CHAT_LIMITS

_FREE = ("tools", "response_format", "functions")
"""With any of these, the grammar of the answer ends it."""


def body_of(request: RecordedRequest, model: str, tokens: int, mark: str) -> Mapping[str, JsonValue] | None:
    """Return the body, for a stream with an answer of so many tokens; None: it is no chat completion.

    `mark` is put before the first message, so that the engine's cache of earlier prompts doesn't make the work of
    another measurement shorter; beginnings that requests share stay shared.
    """
    messages = request.body.get("messages")
    if not request.path.endswith("/chat/completions") or not isinstance(messages, list) or not messages:
        return None
    kept = {key: value for key, value in without_unsent(request.body).items() if key not in CHAT_LIMITS}
    body = {**kept, "model": model, "messages": _marked(messages, mark), "max_tokens": max(1, tokens)}
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    if not any(request.body.get(name) for name in _FREE):
        body.pop("stop", None)
        body["ignore_eos"] = True
    return body


def _marked(messages: list[JsonValue], mark: str) -> JsonValue:
    first, *others = messages
    if not isinstance(first, dict):
        return messages
    content = first.get("content")
    if isinstance(content, str):
        return [{**first, "content": f"{mark} {content}"}, *others]
    if isinstance(content, list):
        return [{**first, "content": [{"type": "text", "text": mark}, *content]}, *others]
    return messages
