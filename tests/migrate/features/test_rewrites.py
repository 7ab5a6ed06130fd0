"""A request is written without what the target lacks, and otherwise stays as it is."""

from __future__ import annotations

from typing import Any

import pytest

from rackwright.migrate.asking.way import Way, way_of
from rackwright.migrate.assessment import Assessed, Moved
from rackwright.migrate.features.mapping import MECHANICAL, mapping
from rackwright.migrate.features.rewrites import REWRITES, is_field, rewritten
from rackwright.migrate.features.summary import ModelTraffic, TrafficSummary
from rackwright.migrate.features.table import FEATURES
from rackwright.migrate.features.used import features_of
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from tests.lifecycle.migrate.ends import plan_of

ASKED = {"role": "user", "content": "Hello"}
WEATHER = {"name": "weather", "parameters": {"type": "object"}}
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("weather", "population")]
NAMED = {"type": "function", "function": {"name": "weather"}}


def body(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [ASKED], "temperature": 0.5, **more}


@pytest.mark.parametrize(
    ("feature", "before", "after"),
    [
        ("max_completion_tokens", {"max_completion_tokens": 5}, {"max_tokens": 5}),
        ("max_completion_tokens", {"max_completion_tokens": 5, "max_tokens": 9}, {"max_tokens": 9}),
        ("role.developer", {"messages": [{"role": "developer", "content": "x"}, ASKED]}, None),
        ("n", {"n": 3}, {}),
        ("tool_choice.none", {"tools": TOOLS, "tool_choice": "none", "parallel_tool_calls": False}, {}),
        (
            "tool_choice.function",
            {"tools": TOOLS, "tool_choice": NAMED},
            {"tools": TOOLS[:1], "tool_choice": "required"},
        ),
        (
            "tool_choice.allowed_tools",
            {
                "tools": TOOLS,
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "required", "tools": TOOLS[1:]},
                },
            },
            {"tools": TOOLS[1:], "tool_choice": "required"},
        ),
        (
            "tool_choice.allowed_tools",
            {"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": TOOLS[1:]}},
            {"tools": TOOLS[1:], "tool_choice": "auto"},
        ),
        (
            "functions",
            {"functions": [WEATHER], "function_call": {"name": "weather"}},
            {"tools": [{"type": "function", "function": WEATHER}], "tool_choice": NAMED},
        ),
        ("functions", {"functions": [WEATHER], "function_call": "auto"}, None),
        ("logprobs", {"logprobs": True, "top_logprobs": 2}, {}),
        ("top_logprobs", {"logprobs": True, "top_logprobs": 2}, {"logprobs": True}),
        ("service_tier", {"service_tier": "flex"}, {}),
        ("unknown.top_k", {"Top-K": 5}, {}),
    ],
)
def test_the_feature_is_gone_and_nothing_else_is(
    feature: str, before: dict[str, Any], after: dict[str, Any] | None
) -> None:
    found = rewritten(body(**before), [feature])
    if after is not None:
        assert found == body(**after)
    request = RecordedRequest(id="a", path="/v1/chat/completions", model="m", body=body(**before), origin="jsonl")
    assert feature in features_of(request)
    assert feature not in features_of(request.model_copy(update={"body": found}))
    assert found["temperature"] == 0.5


def test_a_conversation_with_functions_becomes_one_with_tools() -> None:
    call = {"name": "weather", "arguments": "{}"}
    said = [
        ASKED,
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "weather", "content": "rain"},
        "no message",
    ]
    assert rewritten({"messages": said}, ["functions"])["messages"] == [
        ASKED,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
        },
        {"role": "tool", "content": "rain", "tool_call_id": "call_1"},
        "no message",
    ]


@pytest.mark.parametrize("feature", sorted(REWRITES))
@pytest.mark.parametrize("odd", [None, 5, "x", [], {}, [5, "x", None], {"type": 5}, {"type": "function"}])
def test_an_odd_body_is_no_fault(feature: str, odd: Any) -> None:
    fields = ("messages", "tools", "tool_choice", "functions", "function_call", "n", "max_completion_tokens")
    for field in fields:
        rewritten({field: odd}, [feature])
    rewritten(dict.fromkeys(fields, odd), [feature])


def test_each_rule_is_about_a_feature_that_is_called_rewritten() -> None:
    assert set(REWRITES) <= MECHANICAL
    assert set(REWRITES) <= set(FEATURES)


def assessed(statuses: dict[str, Any], waivers: dict[str, str]) -> Assessed:
    traffic = ModelTraffic(requests=5, features=dict.fromkeys(statuses, 5))
    mapped = mapping(traffic, statuses, waivers=waivers)
    moved = Moved(model="gpt-4o-mini", target="chat", runtime="vllm", context=9, mapped=mapped)
    return Assessed(probed=True, traffic=TrafficSummary(requests=5), moved=(moved,))


def test_what_is_refused_is_left_out_only_with_a_waiver() -> None:
    statuses = {"logprobs": "rejected", "n": "rejected", "seed": "ok", "stop": "ignored", "images": "rejected"}
    assert way_of(plan_of(), assessed(statuses, {})).rewrites == {"gpt-4o-mini": ("n",)}
    waived = dict.fromkeys(statuses, "nobody needs it")
    assert way_of(plan_of(), assessed(statuses, waived)).rewrites == {"gpt-4o-mini": ("logprobs", "n")}
    assert not is_field("images")
    assert way_of(plan_of(), None).rewrites == {}


def test_what_neither_side_is_sent_is_left_out_and_makes_no_other_way() -> None:
    found = assessed({"store": "ignored", "metadata": "rejected", "service_tier": "unknown", "seed": "ignored"}, {})
    assert {one.feature: one.replay for one in found.moved[0].mapped.changes} == {
        "store": "left out",
        "metadata": "left out",
        "service_tier": "left out",
        "seed": "unchanged",
    }
    assert way_of(plan_of(), found).rewrites == {}


def test_a_way_says_whose_answers_hold() -> None:
    now = way_of(plan_of(), assessed({"n": "rejected"}, {}))
    before = Way(now.cloud, now.models)
    other = Way("azure", {"gpt-4o-mini": "big"})
    for asked, holds in (("cloud", True), ("again", True), ("fleet", False)):
        answer = ReplayedAnswer(request="a", asked=asked, status=200, by=before.by(asked, "gpt-4o-mini"))  # type: ignore[arg-type]
        assert before.holds(answer)
        assert now.holds(answer) is holds
        assert not other.holds(answer)
    assert now.ends == ("openai", "gpt-4o → big", "gpt-4o-mini → chat, without n")


def test_an_answer_of_another_version_of_the_fleets_model_does_not_hold() -> None:
    before, now = (way_of(plan_of(), None, {"chat": one, "other": "x"}) for one in ("a, vllm 1", "b, vllm 1"))
    unknown = way_of(plan_of(), None)
    for asked, same in (("cloud", True), ("again", True), ("fleet", False)):
        answer = ReplayedAnswer(
            request="a",
            asked=asked,  # type: ignore[arg-type]
            status=200,
            by=before.by(asked, "gpt-4o-mini"),  # type: ignore[arg-type]
            version=before.version(asked, "gpt-4o-mini"),  # type: ignore[arg-type]
        )
        assert answer.version == ("" if same else "a, vllm 1")
        assert before.holds(answer)
        assert now.holds(answer) is same
        # Without a lock nobody knows.
        assert unknown.holds(answer)
        assert before.holds(answer.model_copy(update={"version": ""}))
    assert now.other_versions(before.versions) == ("chat",)
    assert now.other_versions(now.versions) == now.other_versions({}) == unknown.other_versions(now.versions) == ()
