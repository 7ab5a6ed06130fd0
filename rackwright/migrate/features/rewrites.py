"""The same request, written without a feature that the fleet doesn't have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pydantic import JsonValue

from rackwright.migrate.features.from_answer import at, listed
from rackwright.migrate.features.table import UNKNOWN
from rackwright.migrate.features.used import ALONE, unknown_field

Body = dict[str, JsonValue]
_TOOL_FIELDS = ("tools", "tool_choice", "parallel_tool_calls")


def rewritten(body: Mapping[str, JsonValue], features: Iterable[str]) -> Mapping[str, JsonValue]:
    """Return the body with what these features use written in another way.

    What has no rule in REWRITES is left out: such a feature must be a field of its own (`is_field`).
    """
    found = dict(body)
    for name in sorted(features):
        rule = REWRITES.get(name)
        found = rule(found) if rule else _without_field(found, name)
    return found


def is_field(feature: str) -> bool:
    """Return whether the feature is a field of the body that can be left out."""
    return feature in ALONE or feature in _FIELDS or feature.startswith(UNKNOWN)


def _without(body: Mapping[str, JsonValue], *names: str) -> Body:
    return {key: value for key, value in body.items() if key not in names}


def _without_field(body: Body, feature: str) -> Body:
    if feature.startswith(UNKNOWN):
        return {key: value for key, value in body.items() if unknown_field(key) != feature}
    return _without(body, *_FIELDS.get(feature, (feature,)))


def _limit(body: Body) -> Body:
    limit = body.get("max_completion_tokens")
    kept = _without(body, "max_completion_tokens")
    return kept if limit is None or kept.get("max_tokens") is not None else {**kept, "max_tokens": limit}


def _one_answer(body: Body) -> Body:
    """A client asks n times; the first answer is the one that is compared."""
    return _without(body, "n")


def _no_tools(body: Body) -> Body:
    return _without(body, *_TOOL_FIELDS) if body.get("tool_choice") == "none" else body


def _allowed_tools(body: Body) -> Body:
    choice = body.get("tool_choice")
    if at(choice, "type") != "allowed_tools":
        return body
    # The API's reference has both, with and without a level of its own.
    allowed = at(choice, "allowed_tools") or choice
    names = {_name(tool) for tool in listed(at(allowed, "tools"))}
    return {**_only(body, names), "tool_choice": at(allowed, "mode") or "auto"}


def _this_tool(body: Body) -> Body:
    choice = body.get("tool_choice")
    if at(choice, "type") != "function":
        return body
    return {**_only(body, {_name(choice)}), "tool_choice": "required"}


def _only(body: Body, names: set[JsonValue]) -> Body:
    return {**body, "tools": [tool for tool in listed(body.get("tools")) if _name(tool) in names]}


def _name(tool: JsonValue) -> JsonValue:
    name = at(tool, "function", "name") or at(tool, "name")
    return name if isinstance(name, str) else None


def _system(body: Body) -> Body:
    def changed(message: JsonValue) -> JsonValue:
        if isinstance(message, dict) and message.get("role") == "developer":
            return {**message, "role": "system"}
        return message

    return {**body, "messages": [changed(one) for one in listed(body.get("messages"))]}


def _tools(body: Body) -> Body:
    """Write `functions` and `function_call` as `tools` and `tool_choice`, in the conversation so far, too."""
    found = _without(body, "functions", "function_call")
    if functions := listed(body.get("functions")):
        found["tools"] = [{"type": "function", "function": one} for one in functions]
    choice = body.get("function_call")
    if isinstance(choice, dict):
        found["tool_choice"] = {"type": "function", "function": choice}
    elif choice is not None:
        found["tool_choice"] = choice
    if isinstance(body.get("messages"), list):
        found["messages"] = _tool_messages(listed(body.get("messages")))
    return found


def _tool_messages(messages: list[JsonValue]) -> list[JsonValue]:
    found: list[JsonValue] = []
    calls = 0
    for message in messages:
        if not isinstance(message, dict):
            found.append(message)
        elif call := message.get("function_call"):
            calls += 1
            kept = _without(message, "function_call")
            found.append({**kept, "tool_calls": [{"id": f"call_{calls}", "type": "function", "function": call}]})
        elif message.get("role") == "function":
            kept = _without(message, "name")
            found.append({**kept, "role": "tool", "tool_call_id": f"call_{calls}"})
        else:
            found.append(message)
    return found


_FIELDS: Mapping[str, tuple[str, ...]] = {
    "logprobs": ("logprobs", "top_logprobs"),
    "completions.logprobs": ("logprobs",),
    "top_logprobs": ("top_logprobs",),
}
"""Features that are fields with another name, or with others that are nothing without them."""
REWRITES: Mapping[str, Callable[[Body], Body]] = {
    "max_completion_tokens": _limit,
    "functions": _tools,
    "role.developer": _system,
    "tool_choice.none": _no_tools,
    "tool_choice.allowed_tools": _allowed_tools,
    "tool_choice.function": _this_tool,
    "n": _one_answer,
}
"""Feature → the same request without it."""
