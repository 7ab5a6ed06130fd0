from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright.fleet.golden import json_schema
from rackwright.fleet.golden.golden_set import Prompt
from rackwright.verdict import golden_check
from rackwright.verdict.golden_check import Call, Said, Score, score
from rackwright.verdict.json_schema import allows

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "number"}}},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}


def prompt(**check: object) -> Prompt:
    messages = [{"role": "user", "content": "?"}]
    return Prompt.model_validate({"id": "p", "messages": messages, "tools": [WEATHER, CLOCK], "check": check})


@pytest.mark.parametrize(
    ("check", "text", "passed", "reason"),
    [
        ({"exact": "Paris"}, " Paris\n", True, ""),
        ({"exact": "Paris"}, "paris", False, "differs from the expected text"),
        ({"contains": "Paris"}, "It is Paris.", True, ""),
        ({"contains": "Paris"}, "It is Rome.", False, "lacks the text"),
        ({"regex": r"\bPar.s\b"}, "It is Paris.", True, ""),
        ({"regex": "^Paris$"}, "It is Paris.", False, "doesn't match"),
        ({"regex": "(?i)^paris$"}, "PARIS", True, ""),
    ],
)
def test_a_text_passes_or_not_and_has_no_format(check, text, passed, reason):
    assert score(prompt(**check), Said(text)) == Score(passed, None, reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"name": "Ada", "age": 36}', ""),
        (' {"age": 36, "name": "Ada"}\n', ""),
        ('```json\n{"name": "Ada", "age": 36}\n```', "isn't JSON"),
        ("", "isn't JSON"),
        ('{"name": "Ada", "age": NaN}', "isn't JSON"),
        ("[" * 100_000, "isn't JSON"),
        ('{"name": "Ada", "age": "36"}', "violates properties/age/type of its schema"),
        ('{"name": "ada", "age": 36}', "violates properties/name/pattern of its schema"),
        ('{"name": "Ada"}', "violates required of its schema"),
        ('{"name": "Ada", "age": 36, "secret": 1}', "violates additionalProperties of its schema"),
    ],
)
def test_json_is_valid_and_passed_by_its_schema_or_neither(text, reason):
    assert score(prompt(json_schema=PERSON), Said(text)) == Score(not reason, not reason, reason)


@pytest.mark.parametrize(
    ("calls", "passed", "valid", "reason"),
    [
        ([("weather", '{"days": 3, "city": "Paris"}')], True, True, ""),
        ([("weather", '{"days": 3.0, "city": "Paris"}')], True, True, ""),
        ([], False, False, "calls no tool"),
        ([("wether", "{}")], False, False, "calls a tool that doesn't exist"),
        ([("weather", "{")], False, False, "calls weather with arguments that aren't JSON"),
        ([("weather", "[]")], False, False, "calls weather with arguments that aren't an object"),
        (
            [("weather", '{"days": "3"}')],
            False,
            False,
            "calls weather with invalid arguments: violates properties/days/type of its schema",
        ),
        ([("clock", "{}")], False, True, "calls clock"),
        ([("weather", '{"city": "Rome", "days": 3}')], False, True, "calls weather with other arguments"),
        ([("weather", '{"city": "Paris"}')], False, True, "calls weather with other arguments"),
        ([("clock", "{}"), ("weather", '{"city": "Paris", "days": 3}')], False, True, "calls 2 tools"),
    ],
)
def test_a_call_has_a_valid_format_and_is_the_wanted_one(calls, passed, valid, reason):
    wanted = prompt(tool_call={"name": "weather", "arguments": {"city": "Paris", "days": 3}})
    assert score(wanted, Said(calls=tuple(Call(*call) for call in calls))) == Score(passed, valid, reason)


def test_without_arguments_any_that_the_tool_allows_will_do():
    wanted = prompt(tool_call={"name": "weather"})
    assert score(wanted, Said(calls=(Call("weather", '{"city": "Rome"}'),))).passed
    assert not score(wanted, Said(calls=(Call("weather", '{"city": 1}'),))).passed


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (0, False, False),
        (None, False, False),
        ([1], [1, 2], False),
        ({"a": []}, {"a": []}, True),
    ],
)
def test_arguments_are_the_same_as_json_has_it(one, other, same):
    wanted = prompt(tool_call={"name": "clock", "arguments": {"x": one}})
    assert score(wanted, Said(calls=(Call("clock", json.dumps({"x": other})),))).passed is same


def test_an_expression_that_tries_for_ever_is_ended(monkeypatch):
    monkeypatch.setattr(golden_check, "REGEX_SECONDS", 0.05)
    monkeypatch.setattr(json_schema, "PATTERN_SECONDS", 0.05)
    endless, text = r"(?:a|aa|aaa)+(?=b)(?<=c)$", "a" * 60
    assert score(prompt(regex=endless), Said(text)).reason == "the expression took longer than 0.05 s"
    found = score(prompt(json_schema={"pattern": endless}), Said(json.dumps(text)))
    assert (found.valid, found.reason) == (False, "a pattern of its schema took longer than 0.05 s")


def test_an_expression_that_takes_too_much_memory_does_not_pass(monkeypatch):
    monkeypatch.setattr(golden_check, "REGEX_SECONDS", 60)
    # On a text of one letter it ends, so it is accepted.
    found = score(prompt(regex="^.?$|(?R)"), Said("no"))
    assert found == Score(False, None, "the expression took too much memory")


def test_an_answer_that_is_nested_too_deep_for_its_schema_is_not_valid():
    deep = {"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}
    found = score(prompt(json_schema=deep), Said("[" * 900 + "]" * 900))
    assert found == Score(False, False, "is nested too deeply")


@pytest.mark.parametrize(("levels", "reason"), [(60, None), (70, "is nested too deeply")])
def test_references_lead_so_deep_and_no_deeper(levels, reason):
    assert allows({"items": {"$ref": "#"}}, json.loads("[" * levels + "]" * levels)) == reason


def test_an_end_of_the_stack_within_what_is_rust_is_no_panic():
    schema = json.loads('{"if": {"type": "array"}, "items": {"$dynamicRef": "#"}}')
    answer = json.loads("[" * 60 + "]" * 60)

    def allowed(frames: int) -> str | None:
        return allowed(frames - 1) if frames else allows(schema, answer)

    for frames in range(500, 800):
        with suppress(RecursionError):
            assert allowed(frames) in (None, "is nested too deeply")


@pytest.mark.parametrize("text", ["1e999", "-1e999", "1" * 400])
def test_a_number_beyond_all_bounds_is_not_valid(text):
    found = score(prompt(json_schema={"multipleOf": 0.1}), Said(text))
    assert found == Score(False, False, "contains a number that is too large")


@pytest.mark.parametrize(
    "draft", ["https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#"]
)
def test_a_pattern_is_ended_also_where_a_reference_leads_back_to_the_whole_schema(monkeypatch, draft):
    monkeypatch.setattr(json_schema, "PATTERN_SECONDS", 0.05)
    whole = {"$schema": draft, "items": {"$ref": "#"}, "pattern": r"(?:a|aa|aaa)+(?=b)(?<=c)$"}
    assert score(prompt(json_schema=whole), Said(json.dumps(["a" * 26]))).reason.startswith(
        "a pattern of its schema took"
    )


def test_what_a_schema_stumbles_over_only_in_an_answer_is_not_valid():
    # Neither would be accepted.
    unknown = {"properties": {"a": {"type": "thing"}}}
    assert allows(unknown, {"a": 1}) == "can't be checked against its schema (UnknownType)"
    lost = {"properties": {"a": {"$ref": "#/$defs/lost"}}}
    assert allows(lost, {"a": 1}) == "can't be checked against its schema (_WrappedReferencingError)"


def test_older_drafts_are_understood():
    older = {"$schema": "http://json-schema.org/draft-07/schema#", "dependencies": {"a": ["b"]}}
    assert score(prompt(json_schema=older), Said('{"a": 1, "b": 2}')).passed
    assert score(prompt(json_schema=older), Said('{"a": 1}')).reason == "violates dependencies of its schema"


CHECKS = [
    {"exact": "a"},
    {"regex": "a+"},
    {"json_schema": PERSON},
    {"tool_call": {"name": "weather", "arguments": {}}},
]
ANSWERS = st.text(max_size=20) | st.dictionaries(st.sampled_from(["name", "age", "x"]), st.integers()).map(json.dumps)


@settings(max_examples=40)
@given(st.sampled_from(CHECKS), ANSWERS, st.lists(st.tuples(st.sampled_from(["weather", "no"]), ANSWERS), max_size=2))
def test_whatever_an_answer_is_nothing_is_raised_and_what_passes_is_valid(check, text, calls):
    found = score(prompt(**check), Said(text, tuple(Call(*call) for call in calls)))
    assert bool(found.reason) is not found.passed
    assert found.valid or found.valid is None or not found.passed
