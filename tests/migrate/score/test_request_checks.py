"""Each check of an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from rackwright.migrate.replayed_answer import ReplayedAnswer
from rackwright.migrate.score.language import language_of
from rackwright.migrate.score.refusal import refuses
from rackwright.migrate.score.request_checks import ABOUT, Marks, marks
from tests.migrate.score.answers import answer, request

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ASKS_JSON = {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}}
TOOL = {"type": "function", "function": {"name": "add", "parameters": SCHEMA}}
ENGLISH = (
    "The weather is good today, and it will be even better for the rest of the week, so you can go out to the lake."
)
GERMAN = "Das Wetter ist heute gut, und es wird im Rest der Woche noch besser, also kann man auch an den See fahren."


def fleet(cloud: ReplayedAnswer, ours: ReplayedAnswer, **body: object) -> Mapping[str, bool]:
    """Return what the fleet's answer passes."""
    return {kind: one.fleet for kind, one in marks(request(**body), cloud, cloud, ours).items()}


def test_an_identical_answer_passes_each_check():
    for text, body in (("yes", {}), (ENGLISH, {}), ('{"n": 1}', ASKS_JSON), ("ok", {"tools": [TOOL]})):
        assert all(fleet(answer(text), answer(text), **body).values())


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('{"n": 1}', True),
        (' {"n": 2}\n', True),
        ('{"n": "1"}', False),
        ("[1]", False),
        ("n is 1", False),
        ("NaN", False),
    ],
)
def test_json_is_valid_by_the_requests_schema(text, good):
    assert fleet(answer('{"n": 1}'), answer(text), **ASKS_JSON)["json"] is good


def test_json_of_a_response_is_checked_too():
    asks = {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}}
    assert fleet(answer('{"n": 1}'), answer('{"n": "1"}'), **asks)["json"] is False


@pytest.mark.parametrize(("text", "good"), [("{}", True), ("[]", False), ("{", False), ("[" * 100_000, False)])
def test_json_without_a_schema_is_an_object(text, good):
    assert fleet(answer("{}"), answer(text), response_format={"type": "json_object"})["json"] is good


@pytest.mark.parametrize(
    "schema", [{"type": "nothing"}, {"$ref": "https://example.org/x"}, "text", None, {"$ref": "#"}]
)
def test_a_schema_that_can_not_be_used_leaves_the_check_of_json(schema):
    asks = {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    assert fleet(answer("{}"), answer("{}"), **asks)["json"]
    assert not fleet(answer("{}"), answer("no"), **asks)["json"]


@pytest.mark.parametrize(
    ("calls", "tool", "arguments"),
    [
        ([("add", '{"n": 1}')], True, True),
        ([("add", '{ "n":1.0 }')], True, True),
        ([("add", '{"n": 2}')], True, False),
        ([("add", '{"n": "1"}')], False, False),
        ([("sub", '{"n": 1}')], False, False),
        ([("add", "{")], False, False),
        ([("add", '{"n": 1}')] * 2, False, False),
        ([], False, False),
    ],
)
def test_the_same_tools_are_called_with_the_same_arguments(calls, tool, arguments):
    cloud = answer("", calls=[("add", '{"n": 1}')], finish="tool_calls")
    # The form before tools counts like tools.
    for body in ({"tools": [TOOL]}, {"functions": [TOOL["function"]]}):
        found = fleet(cloud, answer("", calls=calls, finish="tool_calls"), **body)
        assert (found["tool"], found["arguments"]) == (tool, arguments)


def test_parallel_calls_may_come_in_any_order():
    calls = [("add", '{"n": 1}'), ("add", '{"n": 2}')]
    found = fleet(answer("", calls=calls), answer("", calls=calls[::-1]), tools=[TOOL])
    assert found["tool"]
    assert found["arguments"]


def test_a_call_where_the_cloud_makes_none_is_noticed():
    found = fleet(answer("no need"), answer("", calls=[("add", '{"n": 1}')]), tools=[TOOL])
    assert found["tool"] is False
    assert "arguments" not in found


@pytest.mark.parametrize(("text", "same"), [("Yes.", True), (" yes\n", True), ("no", False), ("yes, but no", False)])
def test_a_short_answer_is_the_same(text, same):
    assert fleet(answer("yes"), answer(text))["label"] is same


def test_a_long_answer_has_a_language_and_a_length_instead():
    found = fleet(answer(ENGLISH), answer(GERMAN))
    assert "label" not in found
    assert (found["language"], found["length"]) == (False, True)
    assert fleet(answer(ENGLISH), answer(ENGLISH * 3))["length"] is False
    assert fleet(answer(ENGLISH), answer(ENGLISH[:40]))["length"] is False


@pytest.mark.parametrize("text", ["I'm sorry, but I can't assist with that.", "I cannot help with this request."])
def test_a_refusal_is_noticed_on_either_side(text):
    assert fleet(answer(text), answer(ENGLISH))["refusal"] is False
    assert fleet(answer(ENGLISH), answer(text))["refusal"] is False
    assert fleet(answer(text), answer(text))["refusal"] is True


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        (answer("", refusal="I won't."), True),
        (answer("", finish="content_filter"), True),
        (answer("Es tut mir leid, dabei kann ich leider nicht helfen."), True),
        (answer("Je suis désolé, mais je ne peux pas répondre."), True),
        (answer("I\u2019m sorry, but I can\u2019t help with that."), True),
        (answer("I'm sorry for the delay: your order has been sent."), False),
        (answer("You can't divide by zero."), False),
        (answer(f"{ENGLISH * 5} I cannot help with that."), False),
    ],
)
def test_what_a_refusal_is(given, refused):
    assert refuses(given) is refused


def test_the_end_has_the_same_reason():
    assert fleet(answer(finish="stop"), answer(finish="length"))["finish"] is False
    assert fleet(answer(finish="tool_calls"), answer(finish="function_call"))["finish"] is True


def test_a_failed_answer_passes_nothing():
    found = marks(request(), answer("yes"), answer("yes"), answer("yes", status=500))
    assert set(found.values()) == {Marks(fleet=False, again=True)}


def test_the_cloud_itself_is_judged_in_the_same_way():
    found = marks(request(), answer("yes"), answer("no"), answer("yes"))
    assert found["label"] == Marks(fleet=True, again=False)


def test_the_fleet_does_not_choose_its_checks():
    for ours in (answer("yes"), answer(ENGLISH), answer("", status=500), answer("", calls=[("add", "{}")])):
        assert list(fleet(answer("yes"), ours)) == ["answered", "refusal", "finish", "label"]


def test_each_check_is_explained():
    body = {**ASKS_JSON, "tools": [TOOL]}
    called = answer("", calls=[("add", '{"n": 1}')])
    kinds = {
        *fleet(answer("{}"), answer(), **body),
        *fleet(called, called, **body),
        *fleet(answer(ENGLISH), answer()),
    }
    assert {*kinds, "label"} == set(ABOUT)


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ({"tools": "x", "response_format": 3}, {"answered", "refusal", "finish", "label"}),
        (
            {"tools": [None, {"type": "web_search"}, {"function": {"name": 1}}]},
            {"answered", "refusal", "finish", "label"},
        ),
        ({"functions": [TOOL["function"]], "function_call": "none"}, {"answered", "refusal", "finish", "label"}),
        ({"tools": [TOOL], "tool_choice": "none"}, {"answered", "refusal", "finish", "label"}),
    ],
)
def test_a_strange_body_has_fewer_checks(body, kinds):
    assert set(fleet(answer("yes"), answer("yes"), **body)) == kinds


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ENGLISH, "en"),
        (GERMAN, "de"),
        (
            "Le temps est beau aujourd'hui et il sera encore plus beau dans les jours qui viennent, pour vous.",
            "fr",
        ),
        ("El tiempo es bueno hoy y será mejor en los próximos días, por lo que no hay que estar en la casa.", "es"),
        ("今日は天気がいいので、湖に行きましょう。明日はもっと良くなります。", "ja"),
        ("今天天气很好。这个星期剩下的时间会更好。所以你可以去湖边玩。", "zh"),
        ("Сегодня хорошая погода, и она будет ещё лучше до конца недели.", "cyrillic"),
        ("Xyzzy plugh frobnicate quux corge grault garply", None),
        (json.dumps({"n": 1}), None),
        ("Ok.", None),
    ],
)
def test_a_language_is_told_by_script_and_words(text, language):
    assert language_of(text) == language


def test_arguments_that_are_too_deep_to_compare_are_compared_as_text() -> None:
    """A model writes them: 900 levels are enough for the parser, and too many for a comparison."""
    deep = '{"a": ' + "[" * 900 + "]" * 900 + "}"
    tools = [{"type": "function", "function": {"name": "f"}}]
    same, other = answer(calls=[("f", deep)]), answer(calls=[("f", deep.replace("a", "b"))])
    found = marks(request(tools=tools), same, same, other)
    assert found["arguments"] == Marks(fleet=False, again=True)
