"""A replayed answer from what a side sent. Nothing in it is trusted or executed."""

from __future__ import annotations

import json
from typing import Any

from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import Asked, ReplayedAnswer, ReplayedCall

MOST_TEXT = 2**20
"""Characters of one answer; a line of the folder may have up to eight times as many bytes."""
_MOST_WORDS = 200
_MOST_CALLS = 128
_MOST_TOKENS = 10**9
_MOST_NAME = 200


def parse_answer(
    request: RecordedRequest,
    asked: Asked,
    status: int,
    content: bytes,
    *,
    seconds: float,
    problem: str = "",
    by: str = "",
    version: str = "",
) -> ReplayedAnswer:
    """Return the answer. `problem` says why there is none, if so; `status` 0 is no HTTP answer at all."""
    base = ReplayedAnswer(
        request=request.id,
        asked=asked,
        status=status,
        by=by,
        version=version,
        error=problem,
        seconds=round(seconds, 4),
    )
    if problem:
        return base
    document = _document(content)
    if status != 200:
        return base.model_copy(update={"error": f"HTTP {status}: {_message(document)}".rstrip(": ")})
    try:
        found = base.model_copy(update=_fields(document))
    except (LookupError, TypeError, ValueError, AttributeError):
        return base.model_copy(update={"error": "the answer isn't a completion"})
    size = len(found.text) + len(found.refusal) + sum(len(one.arguments) for one in found.calls)
    if size > MOST_TEXT:
        return base.model_copy(update={"error": f"the answer has more than {MOST_TEXT} characters"})
    return found


def _document(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _message(document: Any) -> str:
    error = document.get("error") if isinstance(document, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return _plain(" ".join(message.split()))[:_MOST_WORDS] if isinstance(message, str) else ""


def _fields(document: Any) -> dict[str, Any]:
    choice, usage = document["choices"][0], document.get("usage") or {}
    message = choice.get("message") or {"content": choice.get("text")}
    return {
        "text": _text(message.get("content")),
        "refusal": _text(message.get("refusal")),
        "calls": tuple(map(_call, _calls(message)[:_MOST_CALLS])),
        "finish": _text(choice.get("finish_reason"))[:_MOST_NAME],
        "prompt_tokens": _count(usage.get("prompt_tokens")),
        "completion_tokens": _count(usage.get("completion_tokens")),
    }


def _calls(message: Any) -> Any:
    """Return the tool calls; a call in the form before tools is one, too."""
    old = message.get("function_call")
    return message.get("tool_calls") or ([{"function": old}] if old else ())


def _call(call: Any) -> ReplayedCall:
    function = call["function"]
    arguments = function.get("arguments")
    # Some engines return an object where OpenAI returns its text.
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ReplayedCall(name=_text(function["name"])[:_MOST_NAME], arguments=_plain(text))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError
    return _plain(value)


def _plain(text: str) -> str:
    """Return the text without lone halves of surrogate pairs, which no file can have."""
    return text.encode("utf-8", "replace").decode()


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None
