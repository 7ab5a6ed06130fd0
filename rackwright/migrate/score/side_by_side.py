"""Examples for a report: what the cloud and the fleet answered, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from rackwright.migrate.score.join import Answered
from rackwright.migrate.score.result import Unlike
from rackwright.terminal import visible_lines

LONGEST = 1500
"""Characters of each text."""
MOST = 10


@dataclass(frozen=True)
class Example:
    """Bounded, redacted text, without control characters."""

    request: str
    """Its id."""
    model: str
    checks: tuple[str, ...]
    """Those that the fleet's answer doesn't pass."""
    asked: str
    """The end of the prompt."""
    cloud: str
    fleet: str


def examples(unlike: Iterable[Unlike], answered: Iterable[Answered], most: int = MOST) -> tuple[Example, ...]:
    """Return the first `most` of `unlike`, in that order, with their texts among these answers."""
    wanted = {one.request: one for one in list(unlike)[:most]}
    found: dict[str, Example] = {}
    for one in answered:
        if one.request.id in wanted:
            found[one.request.id] = _example(wanted[one.request.id], one)
        if len(found) == len(wanted):
            break
    return tuple(found[name] for name in wanted if name in found)


def _example(unlike: Unlike, one: Answered) -> Example:
    asked, cloud, fleet = prompt_of(one.request), said(one.cloud), said(one.fleet)
    return Example(unlike.request, unlike.model, unlike.checks, *map(_bounded, (asked, cloud, fleet)))


def _bounded(text: str) -> str:
    return visible_lines(text if len(text) <= LONGEST else f"{text[:LONGEST]} [...]")


def said(answer: ReplayedAnswer) -> str:
    """Return what the answer says: its text, its refusal and its tool calls, or why there is none."""
    calls = (f"{call.name}({call.arguments})" for call in answer.calls)
    failed = f"no answer: HTTP {answer.status} {answer.error}" if answer.status != 200 or answer.error else ""
    return "\n".join(part for part in (failed, answer.text, answer.refusal, *calls) if part)


def prompt_of(request: RecordedRequest) -> str:
    """Return the text of the last message of the request."""
    body = request.body
    for key in ("messages", "input", "prompt"):
        if body.get(key):
            return "\n".join(_texts(_last(body[key])))
    return ""


def _last(value: object) -> object:
    return value[-1] if isinstance(value, list) and value else value


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, Mapping):
        inner = value.get("content", value.get("text"))
        if inner is not None:
            yield from _texts(inner)
        else:
            yield json.dumps({"type": value.get("type", "?")})
