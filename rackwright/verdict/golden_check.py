"""Check whether an answer passes its prompt's check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.fleet.golden.golden_set import Prompt, WantedCall
from rackwright.fleet.golden.json_schema import Json
from rackwright.verdict.json_schema import allows

REGEX_SECONDS = 1.0
"""Limit for one answer, because backtracking in a long text could take years."""


@dataclass(frozen=True)
class Call:
    """A tool call in an answer."""

    name: str
    arguments: str
    """JSON, or the text that the model wrote instead."""


@dataclass(frozen=True)
class Said:
    """One answer."""

    text: str = ""
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True)
class Score:
    passed: bool
    valid: bool | None
    """Whether its format is valid; None: the check asks for none."""
    reason: str = ""
    """Why it didn't pass; never contains the answer itself."""


def score(prompt: Prompt, said: Said) -> Score:
    """Check an answer. Never raises, whatever the answer is."""
    check, text = prompt.check, said.text.strip()
    if check.exact is not None:
        return _plain(text == check.exact.strip(), "differs from the expected text")
    if check.contains is not None:
        return _plain(check.contains in said.text, "lacks the text")
    if check.regex is not None:
        return _matching(check.regex, said.text)
    if check.json_schema is not None:
        reason = _not_json(text) or allows(check.json_schema, json.loads(text))
        return Score(not reason, not reason, reason or "")
    return _called(prompt, check.tool_call, said.calls)


def _plain(passed: bool, reason: str) -> Score:
    return Score(passed, None, "" if passed else reason)


def _matching(pattern: str, text: str) -> Score:
    import regex

    try:
        return _plain(regex.search(pattern, text, timeout=REGEX_SECONDS) is not None, "doesn't match")
    except TimeoutError:
        return _plain(False, f"the expression took longer than {REGEX_SECONDS:g} s")
    except (MemoryError, RecursionError):
        return _plain(False, "the expression took too much memory")


def _not_json(text: str) -> str | None:
    try:
        json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return "isn't JSON"
    return None


def _no_number(text: str) -> object:
    raise ValueError(text)


def _called(prompt: Prompt, wanted: WantedCall | None, calls: tuple[Call, ...]) -> Score:
    """Check tool calls. The format is valid if the prompt's tools allow each call."""
    if not calls:
        return Score(False, False, "calls no tool")
    parameters = {tool.function.name: tool.function.parameters for tool in prompt.tools}
    for call in calls:
        if reason := _invalid(call, parameters):
            return Score(False, False, reason)
    reason = _unwanted(wanted, calls) if wanted else None
    return Score(not reason, True, reason or "")


def _invalid(call: Call, parameters: Mapping[str, Json | None]) -> str | None:
    if call.name not in parameters:
        return "calls a tool that doesn't exist"
    if _not_json(call.arguments):
        return f"calls {call.name} with arguments that aren't JSON"
    arguments, schema = json.loads(call.arguments), parameters[call.name]
    if not isinstance(arguments, dict):
        return f"calls {call.name} with arguments that aren't an object"
    reason = allows(schema, arguments) if schema is not None else None
    return f"calls {call.name} with invalid arguments: {reason}" if reason else None


def _unwanted(wanted: WantedCall, calls: tuple[Call, ...]) -> str | None:
    if len(calls) > 1:
        return f"calls {len(calls)} tools"
    if calls[0].name != wanted.name:
        return f"calls {calls[0].name}"
    if wanted.arguments is not None and not same_json(wanted.arguments, json.loads(calls[0].arguments)):
        return f"calls {wanted.name} with other arguments"
    return None


def same_json(one: object, other: object) -> bool:
    """Return whether two values are the same JSON: true differs from 1, but 1.0 equals 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_json, one, other))
    return one == other
