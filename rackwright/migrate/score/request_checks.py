"""The checks of one request: whether the fleet's answer is as good as the cloud's second one, judged in the same way.

Which checks a request has depends on the request and on the cloud's first answer alone. So a fleet that answers like
the cloud has the same chance as the cloud's second answer to pass each of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer, ReplayedCall
from rackwright.migrate.score.asked_for import AskedFor, asked_for
from rackwright.migrate.score.language import language_of
from rackwright.migrate.score.refusal import refuses
from rackwright.verdict.golden_check import same_json
from rackwright.verdict.json_schema import breaks

Kind = Literal["answered", "json", "tool", "arguments", "label", "refusal", "language", "length", "finish"]
Check = Callable[[ReplayedAnswer], bool]

ABOUT: Mapping[Kind, str] = {
    "answered": "there is an answer",
    "json": "the answer is JSON, and valid by the request's schema",
    "tool": "the same tools are called, with arguments that they allow",
    "arguments": "the tools are called with the same arguments",
    "label": "a short answer is the same",
    "refusal": "the request is refused, or isn't",
    "language": "the answer is in the same language",
    "length": "the answer is at most twice as long or half as long",
    "finish": "the answer ends for the same reason",
}
_SAYS_WHAT: tuple[Kind, ...] = ("json", "tool", "arguments", "label")
"""Checks of what an answer says. With none of these, only a judge can compare what two answers say."""
_LABEL = 64
"""Characters of a short answer, at most; and its words:"""
_LABEL_WORDS = 5
_LENGTH = 2.0
_LONG_ENOUGH = 80
"""Characters of an answer whose length is compared."""
_FINISHES = {"function_call": "tool_calls", "end_turn": "stop", "eos": "stop", "max_tokens": "length"}
"""Other words for the same reason."""


@dataclass(frozen=True)
class Marks:
    """How an answer of the fleet and the cloud's second one did in one check."""

    fleet: bool
    again: bool


def marks(
    request: RecordedRequest, cloud: ReplayedAnswer, again: ReplayedAnswer, fleet: ReplayedAnswer
) -> dict[Kind, Marks]:
    """Return the result of each check that the request has. An answer that failed passes none."""
    found = dict(checks_of(request, cloud))
    return {kind: Marks(_passes(check, fleet), _passes(check, again)) for kind, check in found.items()}


def usable(answer: ReplayedAnswer) -> bool:
    """Return whether there is an answer."""
    return answer.status == 200 and not answer.error


def says_what(kinds: Mapping[Kind, Marks]) -> bool:
    """Return whether any of these checks is about what the answer says."""
    return any(kind in kinds for kind in _SAYS_WHAT)


def checks_of(request: RecordedRequest, cloud: ReplayedAnswer) -> Iterator[tuple[Kind, Check]]:
    """Yield the checks that the request has, given the cloud's first answer."""
    asked = asked_for(request)
    yield "answered", usable
    if asked.json and not cloud.calls:
        yield "json", lambda answer: _is_json(answer.text, asked)
    if asked.tools is not None:
        yield "tool", lambda answer: _same_tools(answer, cloud, asked)
        if cloud.calls:
            yield "arguments", lambda answer: _same_calls(answer.calls, cloud.calls)
    yield "refusal", lambda answer: refuses(answer) == refuses(cloud)
    yield "finish", lambda answer: _finish(answer) == _finish(cloud)
    if not asked.json and not cloud.calls:
        yield from _of_text(cloud.text)


def _of_text(text: str) -> Iterator[tuple[Kind, Check]]:
    stripped = text.strip()
    if stripped and len(stripped) <= _LABEL and len(stripped.split()) <= _LABEL_WORDS and "\n" not in stripped:
        yield "label", lambda answer: _label(answer.text) == _label(text)
    if language := language_of(text):
        # A text whose language isn't clear isn't in another one.
        yield "language", lambda answer: language_of(answer.text) in (language, None)
    if len(stripped) >= _LONG_ENOUGH:
        yield "length", lambda answer: 1 / _LENGTH <= len(answer.text.strip()) / len(stripped) <= _LENGTH


def _passes(check: Check, answer: ReplayedAnswer) -> bool:
    return usable(answer) and check(answer)


def _label(text: str) -> str:
    return " ".join(text.split()).strip(" .!\"'`*").casefold()


def _finish(answer: ReplayedAnswer) -> str:
    return _FINISHES.get(answer.finish, answer.finish)


def _is_json(text: str, asked: AskedFor) -> bool:
    known, value = _json(text.strip())
    if not known or (asked.schema is None and not isinstance(value, dict)):
        return False
    return asked.schema is None or breaks(asked.schema, value) is None


def _same_tools(answer: ReplayedAnswer, cloud: ReplayedAnswer, asked: AskedFor) -> bool:
    named, wanted = (Counter(call.name for call in one.calls) for one in (answer, cloud))
    return named == wanted and all(_valid_call(call, asked) for call in answer.calls)


def _valid_call(call: ReplayedCall, asked: AskedFor) -> bool:
    known, value = _json(call.arguments or "{}")
    if not asked.tools or call.name not in asked.tools or not known or not isinstance(value, dict):
        return False
    schema = asked.tools[call.name]
    return schema is None or breaks(schema, value) is None


def _same_calls(calls: tuple[ReplayedCall, ...], wanted: tuple[ReplayedCall, ...]) -> bool:
    """Return whether the calls are the same; parallel calls may be in any order."""
    left = list(wanted)
    for call in calls:
        found = next((one for one in left if _same_call(one, call)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _same_call(one: ReplayedCall, other: ReplayedCall) -> bool:
    (known, first), (also, second) = _json(one.arguments or "{}"), _json(other.arguments or "{}")
    if one.name != other.name or known != also:
        return False
    try:
        return same_json(first, second) if known else one.arguments == other.arguments
    except RecursionError:
        # Deep enough for the parser, and too deep to be compared.
        return one.arguments == other.arguments


def _json(text: str) -> tuple[bool, JsonValue]:
    """Return whether the text is JSON, and its value."""
    try:
        return True, json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return False, None


def _no_number(text: str) -> object:
    raise ValueError(text)
