"""A request from a chat completion that OpenAI stored: the answer's object, which has the request's parameters.

The messages are a list of their own there (`GET /chat/completions/ID/messages`). An export should have them in the
object as `messages`: the list, or the page that has it as `data`.
"""

from __future__ import annotations

from rackwright.migrate.features.bodies import CHAT
from rackwright.migrate.importing.found import Item, Reason, of_body, seconds_of, usage_of

_PARAMETERS = (
    "frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata "
    "modalities n parallel_tool_calls prediction presence_penalty prompt_cache_key reasoning_effort response_format "
    "safety_identifier seed service_tier stop stream temperature tool_choice tools top_logprobs top_p verbosity "
    "web_search_options"
).split()
_MESSAGE = ("role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio", "function_call")


def request_of(value: object) -> Item:
    if not isinstance(value, dict):
        return Reason.NOT_OBJECT
    if value.get("object") != "chat.completion":
        return Reason.OTHER
    messages = _messages(value.get("messages") or value.get("input_messages"))
    if not messages:
        return Reason.NO_PROMPT
    body = {name: value[name] for name in _PARAMETERS if value.get(name) not in (None, [], {})}
    user = value.get("input_user")
    body |= {"messages": messages, "model": value.get("model"), "store": True} | ({"user": user} if user else {})
    return of_body(
        body,
        path=CHAT,
        id=str(value.get("id") or ""),
        arrived=seconds_of(value.get("created")),
        tokens=usage_of(value.get("usage")),
    )


def _messages(value: object) -> list[object]:
    """Return what the client sent: the export's messages without the provider's own fields."""
    listed = value.get("data") if isinstance(value, dict) else value
    return [_message(one) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _message(value: dict[str, object]) -> dict[str, object]:
    kept = {name: value[name] for name in _MESSAGE if value.get(name) is not None}
    parts = value.get("content_parts")
    return {**kept, "content": parts} if parts else kept
