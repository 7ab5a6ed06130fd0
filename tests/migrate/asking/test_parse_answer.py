"""Answers of an end that may say anything."""

from __future__ import annotations

import json

import pytest

from rackwright.migrate.asking.parse_answer import parse_answer
from rackwright.migrate.replayed_answer import ReplayedAnswer
from tests.lifecycle.migrate.ends import request


def parsed(document: object, status: int = 200, problem: str = "") -> ReplayedAnswer:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_answer(request(1), "fleet", status, content, seconds=1.23456789, problem=problem)


def choice(**message: object) -> dict[str, object]:
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}


def test_a_completion() -> None:
    found = parsed(choice(content="Red.", refusal=None))
    assert (found.text, found.finish, found.prompt_tokens, found.completion_tokens) == ("Red.", "stop", 5, 2)
    assert (found.request, found.asked, found.status, found.error, found.seconds) == ("r1", "fleet", 200, "", 1.2346)


def test_a_text_completion() -> None:
    assert parsed({"choices": [{"text": "Red.", "finish_reason": "length"}]}).text == "Red."


def test_calls_are_kept_as_they_are() -> None:
    calls = [
        {"function": {"name": "rm", "arguments": '{"path": "/"}'}},
        {"function": {"name": "ls", "arguments": {"path": "/"}}},
    ]
    found = parsed(choice(content=None, tool_calls=calls))
    assert [(one.name, json.loads(one.arguments)) for one in found.calls] == [
        ("rm", {"path": "/"}),
        ("ls", {"path": "/"}),
    ]
    assert found.text == ""


def test_a_refusal() -> None:
    assert parsed(choice(content=None, refusal="No.")).refusal == "No."


def test_an_error_has_the_words_of_the_end() -> None:
    found = parsed({"error": {"message": "too\nlong" + "x" * 500}}, 400)
    assert found.error == "HTTP 400: too long" + "x" * 192
    assert parsed(b"<html>", 502).error == "HTTP 502"
    assert parsed({"error": "plain"}, 503).error == "HTTP 503: plain"


def test_no_answer() -> None:
    assert parsed(b"", 0, "no whole answer within 5 s").error == "no whole answer within 5 s"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        [],
        None,
        7,
        {"choices": []},
        {"choices": [7]},
        {"choices": [{"message": {"content": 7}}]},
        {"choices": [{"message": {"content": ["a"]}}]},
        choice(content="a", tool_calls=[{}]),
        choice(content="a", tool_calls=7),
        choice(content="a", tool_calls={"a": 1}),
        {"choices": [{"message": {"content": "a"}}], "usage": 7},
    ],
)
def test_whatever_else_is_no_completion(document: object) -> None:
    found = parsed(document)
    assert found.error == "the answer isn't a completion"
    assert found.text == ""


def test_halves_of_surrogate_pairs_can_be_stored() -> None:
    found = parsed(b'{"choices": [{"message": {"content": "a\\ud800b\\n"}}]}')
    assert ReplayedAnswer.model_validate_json(found.model_dump_json()).text == "a?b\n"
    assert "\n" not in found.model_dump_json()


@pytest.mark.parametrize("count", [-1, 1.5, "7", 10**30, None, True])
def test_counts_that_are_none(count: object) -> None:
    document = {**choice(content="a"), "usage": {"prompt_tokens": count, "completion_tokens": 2}}
    assert parsed(document).prompt_tokens is None
    assert parsed(document).completion_tokens == 2


def test_an_answer_without_an_end_is_none() -> None:
    found = parsed(choice(content="x" * (2**20 + 1)))
    assert (found.text, found.error) == ("", "the answer has more than 1048576 characters")
    assert parsed(choice(content="x" * 2**20)).error == ""


def test_a_call_in_the_form_before_tools_is_a_call() -> None:
    found = parsed(choice(content=None, function_call={"name": "ls", "arguments": "{}"}))
    assert [(one.name, one.arguments) for one in found.calls] == [("ls", "{}")]
    assert parsed(choice(content="x", function_call=None)).calls == ()
