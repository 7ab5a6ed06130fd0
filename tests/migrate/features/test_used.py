"""Which features a request uses follows from its path and body, whatever is in it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright.migrate.features.bodies import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES
from rackwright.migrate.features.table import FEATURES, feature
from rackwright.migrate.features.used import ENDPOINTS, features_of
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.redact import Redactor

ASKED = [{"role": "user", "content": "Hi"}]
WAIVER = re.compile("[a-z][a-z0-9_.]{0,63}")


def used(path: str, **body: Any) -> set[str]:
    """Return the features beyond the endpoint's own."""
    given = {CHAT: {"messages": ASKED}, COMPLETIONS: {"prompt": "Hi"}}.get(path, {"input": "Hi"})
    redacted: Any = Redactor().body({"model": "m", **given, **body})
    request = RecordedRequest(id="1", path=path, model="m", body=redacted, origin="capture")
    return set(features_of(request)) - {ENDPOINTS[path]}


def part(kind: str, **more: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": kind, **more}]}]


FUNCTION = {"type": "function", "function": {"name": "a", "parameters": {}}}
NAMED = {"type": "function", "function": {"name": "a"}}
STRICT = {"type": "function", "function": {"name": "a", "strict": True}}
IMAGE = {"url": "data:image/png;base64," + "iVBORw0K" * 20}


@pytest.mark.parametrize(
    ("path", "body", "features"),
    [
        (CHAT, {}, set()),
        (CHAT, {"temperature": 0, "top_p": 1, "max_tokens": 5}, set()),
        (CHAT, {"tools": None, "stop": [], "metadata": {}, "logprobs": False, "store": False}, set()),
        (CHAT, {"n": 1, "presence_penalty": 0, "frequency_penalty": 0.0, "service_tier": "auto"}, set()),
        (CHAT, {"tool_choice": "auto", "response_format": {"type": "text"}, "modalities": ["text"]}, set()),
        (CHAT, {"parallel_tool_calls": True}, set()),
        (CHAT, {"parallel_tool_calls": False}, {"parallel_tool_calls"}),
        (CHAT, {"tools": [FUNCTION]}, {"tools"}),
        (CHAT, {"tools": [STRICT]}, {"tools", "tools.strict"}),
        (CHAT, {"tools": [{"type": "custom", "custom": {}}]}, {"tools.custom"}),
        (CHAT, {"tool_choice": "required"}, {"tool_choice.required"}),
        (CHAT, {"tool_choice": "none"}, {"tool_choice.none"}),
        (CHAT, {"tool_choice": NAMED}, {"tool_choice.function"}),
        (CHAT, {"tool_choice": {"type": "allowed_tools"}}, {"tool_choice.allowed_tools"}),
        (CHAT, {"tool_choice": {"type": "custom"}}, {"unknown.tool_choice"}),
        (CHAT, {"response_format": {"type": "json_object"}}, {"response_format.json_object"}),
        (CHAT, {"response_format": {"type": "json_schema"}}, {"response_format.json_schema"}),
        (CHAT, {"response_format": {"type": "xml"}}, {"unknown.response_format"}),
        (CHAT, {"n": 2, "logprobs": True, "top_logprobs": 3}, {"n", "logprobs", "top_logprobs"}),
        (CHAT, {"seed": 1, "stop": "x", "logit_bias": {"1": 2}}, {"seed", "stop", "logit_bias"}),
        (CHAT, {"seed": 0}, {"seed"}),
        (CHAT, {"stream": True}, {"stream"}),
        (CHAT, {"stream_options": {"include_usage": True}}, {"stream_options.include_usage"}),
        (CHAT, {"web_search_options": {}}, {"web_search_options"}),
        (CHAT, {"stream_options": {"include_usage": False, "x": 1}}, {"unknown.stream_options"}),
        (CHAT, {"messages": part("image_url", image_url=IMAGE)}, {"images"}),
        (CHAT, {"messages": part("image_url", image_url=IMAGE | {"detail": "high"})}, {"images", "images.detail"}),
        (CHAT, {"messages": part("input_audio", input_audio={"data": "x", "format": "wav"})}, {"audio"}),
        (CHAT, {"messages": part("file", file={"file_id": "file-1"})}, {"files"}),
        (CHAT, {"modalities": ["text", "audio"], "audio": {"voice": "a"}}, {"audio.output"}),
        (CHAT, {"messages": [{"role": "developer", "content": "x"}]}, {"role.developer"}),
        (CHAT, {"messages": [{"role": "user", "name": "bob", "content": "x"}]}, {"message.name"}),
        (CHAT, {"functions": [{"name": "a"}], "function_call": "auto"}, {"functions"}),
        (CHAT, {"messages": [{"role": "function", "name": "a", "content": "x"}]}, {"functions"}),
        (CHAT, {"store": True, "metadata": {"a": "b"}}, {"store", "metadata"}),
        (CHAT, {"service_tier": "flex", "prediction": {"type": "content"}}, {"service_tier", "prediction"}),
        (CHAT, {"user": "u", "safety_identifier": "s"}, {"user", "safety_identifier"}),
        (CHAT, {"web_search_options": {"a": 1}, "prompt_cache_key": "k"}, {"web_search_options", "prompt_cache_key"}),
        (CHAT, {"max_completion_tokens": 5, "verbosity": "low"}, {"max_completion_tokens", "verbosity"}),
        (CHAT, {"reasoning_effort": "low"}, {"reasoning_effort"}),
        (CHAT, {"Top-K": 5, "guided_json": {"a": 1}}, {"unknown.top_k", "unknown.guided_json"}),
        (COMPLETIONS, {"best_of": 3, "echo": True, "suffix": "x"}, {"best_of", "echo", "suffix"}),
        (COMPLETIONS, {"logprobs": 0}, {"completions.logprobs"}),
        (COMPLETIONS, {"prompt": ["a", "b"]}, {"prompt.batch"}),
        (COMPLETIONS, {"prompt": [1, 2, 3]}, {"prompt.tokens"}),
        (COMPLETIONS, {"prompt": [[1, 2], [3]]}, {"prompt.tokens", "prompt.batch"}),
        (COMPLETIONS, {"prompt": ["a"]}, set()),
        (EMBEDDINGS, {"dimensions": 256, "encoding_format": "base64"}, {"dimensions", "encoding_format.base64"}),
        (EMBEDDINGS, {"encoding_format": "float"}, set()),
        (EMBEDDINGS, {"input": ["a", "b"]}, {"input.batch"}),
        (EMBEDDINGS, {"input": [1, 2]}, {"input.tokens"}),
        (RESPONSES, {"input": [{"role": "developer", "content": []}]}, {"role.developer"}),
        (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, {"images"}),
        (RESPONSES, {"previous_response_id": "resp_1"}, {"previous_response_id"}),
        (RESPONSES, {"conversation": "conv_1"}, {"conversation"}),
        (RESPONSES, {"tools": [{"type": "web_search_preview"}]}, {"tools.web_search"}),
        (RESPONSES, {"tools": [{"type": "file_search"}, {"type": "mcp"}]}, {"tools.file_search", "tools.mcp"}),
        (RESPONSES, {"tools": [{"type": "function", "name": "a", "strict": True}]}, {"tools", "tools.strict"}),
        (RESPONSES, {"text": {"format": {"type": "json_schema"}}}, {"text.format.json_schema"}),
        (RESPONSES, {"prompt": {"id": "pmpt_1"}}, {"prompt.stored"}),
        (RESPONSES, {"reasoning": {"effort": "low"}, "instructions": "x"}, {"reasoning_effort", "instructions"}),
        (RESPONSES, {"background": True, "truncation": "auto"}, {"background", "truncation"}),
        (RESPONSES, {"truncation": "disabled"}, set()),
    ],
)  # fmt: skip
def test_a_request_uses_what_its_body_asks_for(path: str, body: dict[str, Any], features: set[str]) -> None:
    assert used(path, **body) == features


def test_every_name_can_be_waived_and_is_explained() -> None:
    for name, one in FEATURES.items():
        assert WAIVER.fullmatch(name), name
        assert one.name == name
        assert one.means.endswith("."), name
    hint = Plan.__annotations__["waivers"]
    assert WAIVER.pattern in str(hint)


def test_an_unknown_field_is_ignored_by_both_runtimes() -> None:
    assert {feature("unknown.x").status(runtime, "", None)[0] for runtime in ("vllm", "llama_cpp")} == {"ignored"}


LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=4)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))
FIELDS = st.sampled_from(
    "messages prompt input tools tool_choice response_format text logprobs stream_options modalities audio functions "
    "reasoning encoding_format n store metadata Größe".split()
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(FIELDS | st.text(max_size=80), JSON, max_size=6), st.sampled_from([*ENDPOINTS, "/v1/files"]))
def test_any_body_has_features_with_names_that_can_be_waived(body: dict[str, Any], path: str) -> None:
    redacted: Any = Redactor().body(body)
    request = RecordedRequest(id="1", path=path, model="m", body=redacted, origin="har")
    for name in features_of(request):
        assert WAIVER.fullmatch(name), name
        assert name in FEATURES or name.startswith("unknown.")
