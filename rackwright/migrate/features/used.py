"""Which features a recorded request uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from pydantic import JsonValue

from rackwright.migrate.features.bodies import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES
from rackwright.migrate.features.from_answer import at, listed
from rackwright.migrate.features.table import UNKNOWN
from rackwright.migrate.recorded_request import RecordedRequest

ENDPOINTS = {
    CHAT: "endpoint.chat",
    COMPLETIONS: "endpoint.completions",
    EMBEDDINGS: "endpoint.embeddings",
    RESPONSES: "endpoint.responses",
}
_ALWAYS = frozenset("model messages prompt input max_tokens max_output_tokens temperature top_p".split())
"""Fields that every target understands."""
ALONE = frozenset(
    (
        "parallel_tool_calls n top_logprobs seed stop logit_bias presence_penalty frequency_penalty "
        "max_completion_tokens reasoning_effort verbosity prediction stream store metadata service_tier user "
        "safety_identifier prompt_cache_key prompt_cache_retention web_search_options moderation best_of echo "
        "suffix dimensions previous_response_id conversation instructions background truncation include "
        "max_tool_calls context_management"
    ).split()
)
"""Fields that are a feature of the same name."""
_NOTHING: Mapping[str, tuple[JsonValue, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "presence_penalty": (0, 0.0),
    "frequency_penalty": (0, 0.0),
    "top_logprobs": (0,),
    "service_tier": ("auto", "default"),
    "truncation": ("disabled",),
    "parallel_tool_calls": (True,),
}
"""Values that ask for what happens anyway."""
_HOSTED = (
    ("web_search", "tools.web_search"),
    ("file_search", "tools.file_search"),
    ("code_interpreter", "tools.code_interpreter"),
    ("image_generation", "tools.image_generation"),
    ("mcp", "tools.mcp"),
    ("computer", "tools.computer_use"),
    ("custom", "tools.custom"),
)
MOST_PARTS = 10_000
"""Parts of prompts that are looked at in one request."""


def features_of(request: RecordedRequest) -> frozenset[str]:
    """Return the names of the features that a request uses, with `unknown.FIELD` for each field we don't know."""
    body = request.body
    found = {ENDPOINTS[request.path]} if request.path in ENDPOINTS else set[str]()
    for name, value in body.items():
        if _is_asked(name, value):
            found.update(_of_field(name, value, body))
    return frozenset(found)


def _is_asked(name: str, value: JsonValue) -> bool:
    """Everything is off unless the client asks for it, but for parallel calls, which are on unless it says false."""
    if value is False:
        return name == "parallel_tool_calls"
    return value not in (None, [], {}) or (name == "web_search_options" and value == {})


def _of_field(name: str, value: JsonValue, body: Mapping[str, JsonValue]) -> Iterator[str]:
    if name in _MORE:
        yield from _MORE[name](value, body)
    elif name in ALONE:
        if not _is_nothing(name, value):
            yield name
    elif name not in _ALWAYS:
        yield unknown_field(name)


def unknown_field(name: str) -> str:
    """Return the name of the feature that a field is which rackwright doesn't know."""
    return UNKNOWN + (re.sub(r"[^a-z0-9_.]", "_", name.lower())[:56] or "_")


def _is_nothing(name: str, value: JsonValue) -> bool:
    return not isinstance(value, list | dict) and value in _NOTHING.get(name, ())


def _tools(value: JsonValue, _: Mapping[str, JsonValue]) -> Iterator[str]:
    for tool in listed(value)[:MOST_PARTS]:
        kind = str(at(tool, "type") or "function")
        if kind == "function":
            yield "tools"
            if at(tool, "function", "strict") is True or at(tool, "strict") is True:
                yield "tools.strict"
        else:
            yield next((name for start, name in _HOSTED if kind.startswith(start)), UNKNOWN + "tools")


def _tool_choice(value: JsonValue, _: Mapping[str, JsonValue]) -> Iterator[str]:
    kind = at(value, "type") if isinstance(value, dict) else value
    if kind in ("required", "none") or kind in ("function", "allowed_tools"):
        yield f"tool_choice.{kind}"
    elif kind != "auto":
        yield UNKNOWN + "tool_choice"


def _response_format(value: JsonValue, _: Mapping[str, JsonValue]) -> Iterator[str]:
    kind = at(value, "type")
    if kind in ("json_object", "json_schema"):
        yield f"response_format.{kind}"
    elif kind != "text":
        yield UNKNOWN + "response_format"


def _text(value: JsonValue, _: Mapping[str, JsonValue]) -> Iterator[str]:
    kind = at(value, "format", "type")
    if kind in ("json_object", "json_schema"):
        yield f"text.format.{kind}"
    if at(value, "verbosity"):
        yield "verbosity"


def _logprobs(_: JsonValue, body: Mapping[str, JsonValue]) -> Iterator[str]:
    yield "logprobs" if "messages" in body else "completions.logprobs"


def _stream_options(value: JsonValue, _: Mapping[str, JsonValue]) -> Iterator[str]:
    for name in value if isinstance(value, dict) else ():
        if name not in ("include_usage", "include_obfuscation"):
            yield UNKNOWN + "stream_options"
        elif at(value, name):
            yield f"stream_options.{name}"


def _modalities(value: JsonValue, _: Mapping[str, JsonValue]) -> Iterator[str]:
    if "audio" in listed(value):
        yield "audio.output"


def _functions(*_: object) -> Iterator[str]:
    yield "functions"


def _reasoning(*_: object) -> Iterator[str]:
    yield "reasoning_effort"


def _encoding(value: JsonValue, _: Mapping[str, JsonValue]) -> Iterator[str]:
    if value != "float":
        yield "encoding_format.base64" if value == "base64" else UNKNOWN + "encoding_format"


def _messages(value: JsonValue, _: Mapping[str, JsonValue]) -> Iterator[str]:
    for message in listed(value)[:MOST_PARTS]:
        if at(message, "role") == "developer":
            yield "role.developer"
        if at(message, "name") and at(message, "role") not in ("function", "tool"):
            yield "message.name"
        if at(message, "role") == "function" or at(message, "function_call"):
            yield "functions"
        if at(message, "audio"):
            yield "audio.output"
        yield from _parts(at(message, "content"))


def _parts(content: JsonValue) -> Iterator[str]:
    for part in listed(content)[:MOST_PARTS]:
        kind = str(at(part, "type"))
        if kind in ("image_url", "input_image", "image"):
            yield "images"
            if (at(part, "image_url", "detail") or at(part, "detail") or "auto") != "auto":
                yield "images.detail"
        elif kind == "input_audio":
            yield "audio"
        elif kind in ("file", "input_file"):
            yield "files"


def _prompt(value: JsonValue, _: Mapping[str, JsonValue]) -> Iterator[str]:
    if isinstance(value, dict):
        yield "prompt.stored"
    yield from _batch("prompt", value)


def _input(value: JsonValue, _: Mapping[str, JsonValue]) -> Iterator[str]:
    if listed(value) and isinstance(listed(value)[0], dict):
        yield from _messages(value, {})
    else:
        yield from _batch("input", value)


def _batch(name: str, value: JsonValue) -> Iterator[str]:
    """Several texts, ids of tokens, or several lists of ids."""
    items = listed(value)
    first = items[0] if items else None
    if isinstance(first, int) or (isinstance(first, list) and first):
        yield f"{name}.tokens"
    if len(items) > 1 and not isinstance(first, int):
        yield f"{name}.batch"


_MORE: Mapping[str, Callable[[JsonValue, Mapping[str, JsonValue]], Iterator[str]]] = {
    "tools": _tools,
    "tool_choice": _tool_choice,
    "response_format": _response_format,
    "text": _text,
    "logprobs": _logprobs,
    "stream_options": _stream_options,
    "modalities": _modalities,
    "audio": lambda *_: iter(("audio.output",)),
    "functions": _functions,
    "function_call": _functions,
    "reasoning": _reasoning,
    "encoding_format": _encoding,
    "messages": _messages,
    "prompt": _prompt,
    "input": _input,
}
