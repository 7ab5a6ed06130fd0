"""What an answer to a probe says about the feature. An answer comes from a host, so any JSON is possible."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping

from pydantic import JsonValue

from rackwright.migrate.features.kinds import Judge, Status

Check = Callable[[JsonValue], bool | None]
"""Whether an answer shows that the feature works; None: it doesn't show it."""

REJECTED = frozenset((400, 404, 405, 413, 415, 422, 501))
_UNSUPPORTED = re.compile(r"support|not implemented|requires|unknown|invalid|template", re.IGNORECASE)


def judge(check: Check) -> Judge:
    """Return the judge that asks `check` about an answer with status 200."""

    def judged(status: int, answer: JsonValue) -> Status:
        if status == 200:
            found = check(answer)
            return "unknown" if found is None else "ok" if found else "ignored"
        if status in REJECTED:
            return "rejected"
        # llama-server says with 500 that a model has no vision, or that its template can't do something.
        message = str(at(answer, "error", "message") or "")[:2000]
        return "rejected" if status == 500 and _UNSUPPORTED.search(message) else "unknown"

    return judged


def at(value: JsonValue, *steps: str | int) -> JsonValue:
    """Return the part of a JSON value at these keys and places; None if there is none."""
    for step in steps:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
    return value


def text(answer: JsonValue) -> str:
    """Return the text of an answer to a chat, a completion or a response."""
    choice = at(answer, "choices", 0)
    found = at(choice, "message", "content")
    if not isinstance(found, str):
        found = at(choice, "text")
    if not isinstance(found, str):
        parts = (at(item, "content", 0, "text") for item in listed(at(answer, "output")))
        found = "".join(part for part in parts if isinstance(part, str))
    return found


def listed(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def calls(answer: JsonValue) -> list[tuple[str, str]]:
    """Return the name and arguments of each tool call in a chat's answer."""
    found = listed(at(answer, "choices", 0, "message", "tool_calls"))
    return [(str(at(one, "function", "name")), str(at(one, "function", "arguments"))) for one in found]


def number(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def parsed(written: str) -> JsonValue:
    """Return the JSON that a text is; None if it isn't JSON."""
    try:
        found: JsonValue = json.loads(written)
    except (ValueError, RecursionError):
        return None
    return found


def says(word: str) -> Check:
    """The answer has this word, which only the feature can bring about; without it nothing is shown."""
    return lambda answer: True if word in text(answer).lower() else None


def has(*steps: str | int) -> Check:
    """The answer has something other than null, an empty text or an empty list there."""
    return lambda answer: at(answer, *steps) not in (None, "", [], {})


def count(number_of: int, *steps: str) -> Check:
    return lambda answer: len(listed(at(answer, *steps))) == number_of


def output_has(kind: str) -> Check:
    """A response's output has an item of this type."""
    return lambda answer: any(at(item, "type") == kind for item in listed(at(answer, "output")))


def fits(schema: Mapping[str, JsonValue], written: Callable[[JsonValue], str]) -> Check:
    """What `written` returns of the answer is JSON that is valid against the schema."""

    def check(answer: JsonValue) -> bool | None:
        from jsonschema import Draft202012Validator

        if at(answer, "choices", 0, "finish_reason") == "length":
            return None
        return Draft202012Validator(dict(schema)).is_valid(parsed(written(answer)))

    return check


def chunks(answer: JsonValue) -> Iterator[Mapping[str, JsonValue]]:
    return (one for one in listed(answer) if isinstance(one, dict))


def any_chunk(*steps: str | int) -> Check:
    return lambda answer: any(at(dict(one), *steps) is not None for one in chunks(answer))


def accepted(_: JsonValue) -> None:
    """Status 200 alone shows nothing: targets accept what they ignore."""
