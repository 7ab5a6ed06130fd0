"""What an answer to a probe shows: a target that has the feature, one that ignores it, and one that rejects it."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright.migrate.features.bodies import CHAT, RED, SILENCE
from rackwright.migrate.features.table import FEATURES, feature, probe
from rackwright.migrate.features.used import features_of
from rackwright.migrate.recorded_request import RecordedRequest


def chat(text: str = "Rain falls.", finish: str = "stop", tokens: int = 20, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": tokens, "completion_tokens": 9}}


def called(*names: str, arguments: str = '{"city": "Oslo"}') -> dict[str, Any]:
    calls = [{"type": "function", "function": {"name": name, "arguments": arguments}} for name in names]
    return chat("", "tool_calls", tool_calls=calls)


def twice(answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {"choices": answer["choices"] * 2}


def choice(**more: Any) -> dict[str, Any]:
    answer = chat()
    return answer | {"choices": [answer["choices"][0] | more]}


def responded(text: str = "Rain falls.", *kinds: str, **more: Any) -> dict[str, Any]:
    message = {"type": "message", "content": [{"type": "output_text", "text": text}]}
    return {"output": [*({"type": kind} for kind in kinds), message], **more}


CHUNK = {"object": "chat.completion.chunk", "choices": [{"delta": {"content": "Rain"}}]}
LOGPROB = {"token": "Rain", "logprob": -0.1, "top_logprobs": [{}, {}]}
CASES: list[tuple[str, Any, str]] = [
    ("tools", called("weather"), "ok"),
    ("tools", chat(tokens=150), "ok"),
    ("tools", chat(tokens=25), "ignored"),
    ("tools", {"choices": []}, "unknown"),
    ("tools.strict", called("answer", arguments='{"word": "zebra"}'), "ok"),
    ("tools.strict", called("answer", arguments='{"word": "rain"}'), "ignored"),
    ("tools.strict", chat(), "ignored"),
    ("tool_choice.required", called("weather"), "ok"),
    ("tool_choice.required", chat(), "ignored"),
    ("tool_choice.function", called("population"), "ok"),
    ("tool_choice.function", called("weather"), "ignored"),
    ("tool_choice.none", chat(), "ok"),
    ("tool_choice.none", called("weather"), "ignored"),
    ("tool_choice.allowed_tools", called("population"), "ok"),
    ("tool_choice.allowed_tools", called("weather", "population"), "ignored"),
    ("parallel_tool_calls", called("weather"), "ok"),
    ("parallel_tool_calls", called("weather", "weather"), "ignored"),
    ("parallel_tool_calls", chat(), "unknown"),
    ("functions", chat(function_call={"name": "weather", "arguments": "{}"}), "ok"),
    ("functions", chat(), "ignored"),
    ("response_format.json_object", chat('{"rain": true}'), "ok"),
    ("response_format.json_object", chat("Rain falls."), "ignored"),
    ("response_format.json_object", chat("[1]"), "ignored"),
    ("response_format.json_object", chat('{"rain": "tr', "length"), "unknown"),
    ("response_format.json_schema", chat('{"word": "zebra"}'), "ok"),
    ("response_format.json_schema", chat('{"word": "rain"}'), "ignored"),
    ("response_format.json_schema", chat('{"word": "ze', "length"), "unknown"),
    ("n", twice(chat()), "ok"),
    ("n", chat(), "ignored"),
    ("logprobs", choice(logprobs={"content": [LOGPROB]}), "ok"),
    ("logprobs", choice(logprobs={"content": []}), "ignored"),
    ("logprobs", choice(logprobs=None), "ignored"),
    ("top_logprobs", choice(logprobs={"content": [LOGPROB]}), "ok"),
    ("top_logprobs", choice(logprobs={"content": [LOGPROB | {"top_logprobs": []}]}), "ignored"),
    ("stop", chat("1 2 3 4 "), "ok"),
    ("stop", chat("1 2 3 4 5 6 7 8 9"), "ignored"),
    ("stop", chat("One, two"), "unknown"),
    ("max_completion_tokens", chat() | {"usage": {"completion_tokens": 3}}, "ok"),
    ("max_completion_tokens", chat() | {"usage": {"completion_tokens": 300}}, "ignored"),
    ("max_completion_tokens", {"choices": []}, "unknown"),
    ("stream", [CHUNK, CHUNK], "ok"),
    ("stream", chat(), "ignored"),
    ("stream_options.include_usage", [CHUNK, {"choices": [], "usage": {"prompt_tokens": 3}}], "ok"),
    ("stream_options.include_usage", [CHUNK, CHUNK | {"usage": None}], "ignored"),
    ("images", chat("It is Red."), "ok"),
    ("images", chat("I can't see it."), "unknown"),
    ("audio", chat("Nothing."), "unknown"),
    ("audio.output", chat(audio={"id": "a"}), "ok"),
    ("audio.output", chat(), "ignored"),
    ("files", chat("zebra"), "ok"),
    ("files", chat("no file"), "unknown"),
    ("service_tier", chat(), "unknown"),
    ("web_search_options", chat(annotations=[{"type": "url_citation"}]), "ok"),
    ("web_search_options", chat(annotations=[]), "ignored"),
    ("role.developer", chat("Zebra."), "ok"),
    ("role.developer", chat("Water.", tokens=120), "ok"),
    ("role.developer", chat("Water."), "ignored"),
    ("role.developer", {"choices": []}, "unknown"),
    ("endpoint.chat", chat(), "ok"),
    ("endpoint.completions", {"choices": [{"text": " the"}]}, "ok"),
    ("echo", {"choices": [{"text": "The sky is blue and vast"}]}, "ok"),
    ("echo", {"choices": [{"text": " vast"}]}, "ignored"),
    ("suffix", {"choices": [{"text": " vast"}]}, "unknown"),
    ("completions.logprobs", {"choices": [{"text": "a", "logprobs": {"tokens": ["a"]}}]}, "ok"),
    ("completions.logprobs", {"choices": [{"text": "a", "logprobs": None}]}, "ignored"),
    ("prompt.batch", {"choices": [{"text": "a"}, {"text": "b"}]}, "ok"),
    ("prompt.batch", {"choices": [{"text": "a"}]}, "ignored"),
    ("endpoint.embeddings", {"data": [{"embedding": [0.1]}]}, "ok"),
    ("dimensions", {"data": [{"embedding": [0.1] * 8}]}, "ok"),
    ("dimensions", {"data": [{"embedding": [0.1] * 768}]}, "ignored"),
    ("encoding_format.base64", {"data": [{"embedding": "AAAA"}]}, "ok"),
    ("encoding_format.base64", {"data": [{"embedding": [0.1]}]}, "ignored"),
    ("input.batch", {"data": [{}, {}]}, "ok"),
    ("input.batch", {"data": [{}]}, "ignored"),
    ("endpoint.responses", responded(), "ok"),
    ("previous_response_id", responded(), "ignored"),
    ("conversation", responded(), "ignored"),
    ("prompt.stored", responded(), "ignored"),
    ("instructions", responded("Zebra"), "ok"),
    ("instructions", responded("Rain", usage={"input_tokens": 120}), "ok"),
    ("instructions", responded("Rain", usage={"input_tokens": 30}), "ignored"),
    ("instructions", responded("Rain"), "unknown"),
    ("text.format.json_schema", responded('{"word": "zebra"}'), "ok"),
    ("text.format.json_schema", responded("Rain"), "ignored"),
    ("text.format.json_object", responded('{"a": 1}'), "ok"),
    ("text.format.json_object", responded("Rain"), "ignored"),
    ("tools.web_search", responded("x", "web_search_call"), "ok"),
    ("tools.web_search", responded("x"), "ignored"),
    ("tools.file_search", responded("x"), "ignored"),
    ("tools.code_interpreter", responded("x", "code_interpreter_call"), "ok"),
    ("tools.image_generation", responded("x"), "ignored"),
    ("tools.mcp", responded("x", "mcp_list_tools"), "ok"),
    ("tools.computer_use", responded("x"), "ignored"),
    ("background", {"status": "queued"}, "ok"),
    ("background", responded("x", status="completed"), "ignored"),
]


@pytest.mark.parametrize(("name", "answer", "status"), CASES, ids=[f"{name}-{status}" for name, _, status in CASES])
def test_the_answer_tells_what_the_target_did(name: str, answer: Any, status: str) -> None:
    found = probe(name)
    assert found
    assert found.judge(200, answer) == status


PROBED = sorted(name for name, one in FEATURES.items() if one.probe)


def test_each_probe_is_judged_above() -> None:
    assert {name for name, _, _ in CASES} == set(PROBED)


@pytest.mark.parametrize("name", PROBED)
def test_a_probe_uses_its_feature_and_is_small(name: str) -> None:
    found = probe(name)
    assert found
    assert "model" not in found.body
    assert len(json.dumps(found.body)) < 4000
    body = {"model": "m", **found.body}
    assert name in features_of(RecordedRequest(id="1", path=found.path, model="m", body=body, origin="jsonl"))


@pytest.mark.parametrize("name", PROBED)
@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (400, {"error": {"message": "x"}}, "rejected"),
        (404, None, "rejected"),
        (422, "text", "rejected"),
        (501, {}, "rejected"),
        (500, {"error": {"message": "image input is not supported - hint: provide the mmproj"}}, "rejected"),
        (500, {"error": {"message": "out of memory"}}, "unknown"),
        (401, {}, "unknown"),
        (429, {}, "unknown"),
        (503, {}, "unknown"),
        (0, None, "unknown"),
    ],
)
def test_an_error_is_a_rejection_only_if_it_is_about_the_request(
    name: str, status: int, answer: Any, expected: str
) -> None:
    found = probe(name)
    assert found
    assert found.judge(status, answer) == expected


def test_the_probe_decides_and_what_is_known_fills_in() -> None:
    assert feature("service_tier").status("vllm", "0.32.0", "unknown") == ("ignored", "vLLM 0.32")
    assert feature("service_tier").status("vllm", "0.32.0", "rejected") == ("rejected", "probed")
    assert feature("store").status("llama_cpp", "b10434", None) == ("ignored", "llama-server b10434")
    assert feature("seed").status("vllm", "0.32.0", None)[0] == "ok"
    assert feature("stop").status("vllm", "0.32.0", "unknown")[0] == "unknown"
    assert feature("store").status("another", "1", None)[0] == "unknown"
    assert feature("previous_response_id").status("vllm", "0.32.0", None)[0] == "rejected"


def test_what_is_known_of_another_version_of_the_runtime_says_so() -> None:
    known = "known of llama-server b10434; yours is b10500"
    assert feature("store").status("llama_cpp", "b10500", None) == ("ignored", known)
    assert feature("seed").status("vllm", "0.320.0", None) == ("ok", "known of vLLM 0.32; yours is 0.320.0")
    assert feature("store").status("llama_cpp", "b10500", "ok") == ("ok", "probed")
    # A tokenizer's ids are the provider's own, whatever the version of the runtime is.
    assert "yours is" not in feature("logit_bias").status("vllm", "1.0", None)[1]


def test_each_feature_without_a_probe_is_known_or_said_to_be_unknown() -> None:
    open_ones = {name for name, one in FEATURES.items() if not one.probe and not one.known}
    assert open_ones == {"reasoning_effort"}


def test_the_image_and_the_sound_are_real() -> None:
    assert base64.b64decode(RED.partition(",")[2])[:8] == b"\x89PNG\r\n\x1a\n"
    with wave.open(io.BytesIO(base64.b64decode(SILENCE))) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (16000, 1)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
KEYS = st.sampled_from(
    "choices message content tool_calls function usage output data embedding logprobs text".split()
)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))


@settings(max_examples=200, deadline=None)
@given(JSON, st.sampled_from([0, 200, 400, 500]))
def test_whatever_a_target_answers_each_probe_has_a_verdict(answer: Any, status: int) -> None:
    for name in PROBED:
        found = probe(name)
        assert found
        assert found.judge(status, answer) in ("ok", "rejected", "ignored", "unknown")
    assert found.path.startswith("/v1/")
    assert CHAT in {one.probe.path for one in FEATURES.values() if one.probe}
