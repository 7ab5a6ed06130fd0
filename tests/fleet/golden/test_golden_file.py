"""A golden set is either read whole, or every problem is reported with its line."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rackwright.errors import FleetError
from rackwright.fleet.golden import golden_file
from rackwright.fleet.golden.golden_file import read_golden_set
from rackwright.fleet.golden.golden_set import Check

PAGE = Path(__file__).parents[3] / "docs/golden-set.md"
ASKED = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def line(name: str = "capital", **more: object) -> str:
    return json.dumps({"id": name, "messages": ASKED, "check": {"exact": "Paris"}} | more)


FURTHER = tuple(line(f"further{number}") for number in range(20))
"""As many prompts as a golden set must have at least."""


def read(tmp_path, *lines: str, further: Sequence[str] = FURTHER):
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join((*lines, *further)) + "\n")
    return read_golden_set(path)


def problems(tmp_path, *lines: str, further: Sequence[str] = FURTHER) -> list[str]:
    with pytest.raises(FleetError) as raised:
        read(tmp_path, *lines, further=further)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in raised.value.problems]


def test_every_kind_of_check_is_read_in_order(tmp_path):
    checks = [
        {"exact": "Paris"},
        {"contains": "Paris"},
        {"regex": "^Par(is)?$"},
        {"json_schema": {"type": "object", "$defs": {"a": {}}, "properties": {"b": {"$ref": "#/$defs/a"}}}},
        {"tool_call": {"name": "weather", "arguments": {"city": "Paris"}}},
    ]
    lines = [line(f"p{number}", check=check, tools=[WEATHER]) for number, check in enumerate(checks)]
    found = read(tmp_path, lines[0], "", *lines[1:])
    assert [prompt.id for prompt in found.prompts[:5]] == ["p0", "p1", "p2", "p3", "p4"]
    assert [prompt.check.kind for prompt in found.prompts[:5]] == [next(iter(check)) for check in checks]
    assert found.prompts[4].check.model_dump(exclude_unset=True, mode="json") == checks[4]


def test_what_is_asked_is_what_was_written(tmp_path):
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "?"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "rain"},
    ]
    first, second, *_ = read(tmp_path, line("a", messages=messages, tools=[WEATHER]), line("b")).prompts
    assert first.request == {"messages": messages, "tools": [WEATHER], "max_tokens": 512}
    assert second.request == {"messages": ASKED, "max_tokens": 512}


def test_its_digest_is_the_files(tmp_path):
    found = read(tmp_path, line())
    assert found.digest == hashlib.sha256((tmp_path / "prompts.jsonl").read_bytes()).hexdigest()


def test_all_problems_are_told_at_once_each_at_its_line(tmp_path):
    found = problems(
        tmp_path,
        line("one", chek={}),
        '{"id": one}',
        line("two", check={"exact": "a", "contains": "b"}),
        line("one"),
        line("three", messages=[{"role": "robot", "content": "?"}]),
    )
    assert found == [
        "prompts.jsonl:1 chek: unknown key; did you mean 'check'?",
        "prompts.jsonl:2: is not JSON: Expecting value at character 8; should be one object on each line",
        "prompts.jsonl:3 check: should have exactly one of exact, contains, regex, json_schema, tool_call",
        "prompts.jsonl:4 id: is also the id of line 1; give each prompt its own id",
        "prompts.jsonl:5 messages[0].role: should be 'system', 'developer', 'user', 'assistant' or 'tool'",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", 'is not an object; should be like {"id": …, "messages": […], "check": {…}}'),
        ('{"id": NaN}', "has NaN, which is not valid in JSON; should be one object on each line"),
        ('{"id": 1e999}', "has 1e999, which is too large a number; should be one object on each line"),
        ('{"id": "a", "id": "b"}', "has the key 'id' twice; should be one object on each line"),
        ("[" * 500_000, "is nested too deeply; should be one object on each line"),
        ('{"a":' * 70 + "1" + "}" * 70, "is nested deeper than 64 levels; should be one object on each line"),
    ],
)
def test_a_line_that_is_no_plain_object_is_refused(tmp_path, text, problem):
    assert problems(tmp_path, line(), text) == [f"prompts.jsonl:2: {problem}"]


DRAFTS = (
    "uses an unknown draft; $schema should be one of https://json-schema.org/draft/2020-12/schema, "
    "https://json-schema.org/draft/2019-09/schema, http://json-schema.org/draft-07/schema"
)


@pytest.mark.filterwarnings("ignore:Possible nested set")
@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"id": 7}, ' id: should be text; put it in quotes: "7"'),
        ({"id": "a\nb"}, " id: has a control character or a newline; write one plain line"),
        ({"messages": []}, " messages: is empty; should have at least one entry"),
        (
            {"messages": [{"role": "assistant", "content": "Paris"}]},
            ": ends with a message that needs no answer; the last message should have the role user or tool",
        ),
        ({"check": {}}, " check: should have exactly one of exact, contains, regex, json_schema, tool_call"),
        (
            {"check": {"exact": None}},
            " check: should have exactly one of exact, contains, regex, json_schema, tool_call",
        ),
        ({"check": {"regex": "("}}, " check.regex: is not a regular expression: missing ) at position 1"),
        (
            {"check": {"regex": "(" * 3000 + ")" * 3000}},
            " check.regex: is nested too deeply for a regular expression",
        ),
        ({"check": {"regex": "(?R)"}}, " check.regex: is a regular expression that doesn't finish on the text 'a'"),
        (
            {"check": {"json_schema": {"type": "objekt"}}},
            " check.json_schema: is not a JSON Schema: $.type: 'objekt' is not valid under any of the given schemas",
        ),
        ({"check": {"json_schema": {"$schema": 7}}}, f" check.json_schema: {DRAFTS}"),
        ({"check": {"json_schema": {"$schema": "https://example.com/a"}}}, f" check.json_schema: {DRAFTS}"),
        (
            {"check": {"json_schema": {"$ref": "https://example.com/schema.json"}}},
            " check.json_schema: refers to https://example.com/schema.json, which is not in it",
        ),
        (
            {"check": {"json_schema": {"$ref": "#/$defs/a"}}},
            " check.json_schema: refers to #/$defs/a, which is not in it",
        ),
        (
            {"check": {"json_schema": {"properties": {"a": {"pattern": "[[:foo:]]"}}}}},
            " check.json_schema: is not a regular expression: unknown property at position 8",
        ),
        (
            {"check": {"json_schema": {"patternProperties": {"[": {}}}}},
            " check.json_schema: is not a JSON Schema: $.patternProperties: '[' is not a 'regex'",
        ),
        (
            {"check": {"json_schema": {"patternProperties": {"^(a+)+$": {}}}}},
            " check.json_schema: has patternProperties; should list properties, or restrict them with propertyNames",
        ),
        (
            {"check": {"json_schema": {"patternProperties": {"(" * 3000 + ")" * 3000: {}}}}},
            " check.json_schema: has an expression that is nested too deeply or repeats too often",
        ),
        (
            {"check": {"json_schema": {"type": "object", "$ref": "#/type"}}},
            " check.json_schema: refers to #/type, which is not a schema",
        ),
        (
            {"check": {"json_schema": {"required": ["a"], "$ref": "#/required"}}},
            " check.json_schema: refers to #/required, which is not a schema",
        ),
        (
            {"check": {"json_schema": {"maximum": 1, "$ref": "#/maximum/a"}}},
            " check.json_schema: refers to #/maximum/a, which is not in it",
        ),
        (
            {"check": {"json_schema": {"const": {"type": 7}, "items": {"$ref": "#/const"}}}},
            " check.json_schema: is not a JSON Schema: $.type: 7 is not valid under any of the given schemas",
        ),
        (
            {"check": {"json_schema": {"$defs": {"a": {"$id": "in", "$ref": "#/$defs/b"}, "b": {}}}}},
            " check.json_schema: has $id in a subschema; should have it at the top level only",
        ),
        (
            {"check": {"json_schema": {"items": {"$schema": "http://json-schema.org/draft-07/schema#"}}}},
            " check.json_schema: has $schema in a subschema; should have it at the top level only",
        ),
        (
            {"check": {"json_schema": {"allOf": [{"$ref": "#"}]}}},
            " check.json_schema: refers to itself endlessly",
        ),
        (
            {"check": {"tool_call": {"name": "weather"}}},
            ": its check expects a call of weather; should have this tool in tools",
        ),
    ],
)
def test_what_is_wrong_in_a_prompt_is_said(tmp_path, more, problem):
    assert problems(tmp_path, line(**more)) == [f"prompts.jsonl:1{problem}"]


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(FleetError, match="no such file; should be the golden set"):
        read_golden_set(tmp_path / "none.jsonl")
    with pytest.raises(FleetError, match="no such file"):
        read_golden_set(tmp_path)
    assert problems(tmp_path, "", "", further=()) == [
        "prompts.jsonl: is empty; should have a prompt on each line\n"
        "  next: rackwright schema --golden, for the keys of a line"
    ]
    (tmp_path / "latin.jsonl").write_bytes(b"{}\n\xe9\n")
    with pytest.raises(FleetError, match=r"latin\.jsonl:2: has the byte 0xe9, which is not UTF-8"):
        read_golden_set(tmp_path / "latin.jsonl")


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(golden_file, "MOST", 2)
    assert problems(tmp_path, line("a"), line("b"), line("c")) == [
        "prompts.jsonl: has 23 prompts; a golden set has at most 2"
    ]
    monkeypatch.setattr(golden_file, "MAX_BYTES", 20)
    assert problems(tmp_path, line()) == ["prompts.jsonl: is too large (0.0 MB); should be at most 0 MB"]


@pytest.mark.parametrize(("count", "has"), [(1, "has 1 prompt"), (19, "has 19 prompts")])
def test_a_set_that_is_too_small_is_refused(tmp_path, count, has):
    assert problems(tmp_path, further=FURTHER[:count]) == [f"prompts.jsonl: {has}; a golden set has at least 20"]
    assert len(read(tmp_path).prompts) == 20


def test_that_it_is_too_small_is_told_with_all_else(tmp_path):
    assert problems(tmp_path, line(id=7), further=()) == [
        'prompts.jsonl:1 id: should be text; put it in quotes: "7"',
        "prompts.jsonl: has 1 prompt; a golden set has at least 20",
    ]


SAFE = {"id": "a", "messages": ASKED, "check": {"exact": "Paris"}}
ODD = (
    *(None, True, 0, -1.5, math.nan, math.inf, "", "a\0", "(", [], {}, [[]], [None], {"": 1}, {"id": {"id": []}}),
    *({"exact": 1}, {"contains": ["a"]}, {"regex": "(" * 3000}, {"json_schema": {"$ref": "#"}}, {"tool_call": {}}),
    *([{"role": "user"}], [{"role": "user", "content": [1]}], [{"type": "function", "function": {"name": ""}}]),
)


@given(st.dictionaries(st.sampled_from([*SAFE, "tools", "other"]), st.sampled_from(ODD), min_size=1))
def test_whatever_stands_in_a_line_only_problems_come_of_it(tmp_path_factory, found):
    path = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    path.write_text(json.dumps(SAFE | found))
    with pytest.raises(FleetError):
        read_golden_set(path)


def test_the_example_of_the_docs_is_one(tmp_path):
    [example] = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    checks = [prompt.check.kind for prompt in read(tmp_path, *example.splitlines()).prompts[:5]]
    assert sorted(checks) == sorted(Check.model_fields)


def test_the_errors_that_the_docs_show_are_what_is_said(tmp_path):
    lines = [line("one", chek={}), line("two"), line("three", check={"exact": "a", "contains": "b"}), line("one")]
    shown = re.findall(r"^error: (prompts\.jsonl:.*)$", PAGE.read_text(), re.MULTILINE)
    assert shown == problems(tmp_path, *lines)
