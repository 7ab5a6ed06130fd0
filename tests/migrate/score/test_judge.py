"""A judge's questions and words, and the golden set's pairs."""

from __future__ import annotations

import json

import pytest

from rackwright.fleet.golden.golden_set import Check, GoldenSet, Message, Prompt
from rackwright.migrate.score.golden_pairs import golden_marks, golden_requests
from rackwright.migrate.score.join import Answered
from rackwright.migrate.score.judge import judged, questions, read_choice
from rackwright.migrate.score.request_checks import Marks
from rackwright.migrate.score.result import Unlike
from rackwright.migrate.score.side_by_side import LONGEST, examples
from tests.migrate.score.answers import MODEL, answer, labelled, request


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("A", "A"),
        (" b.", "B"),
        ("**TIE**", "TIE"),
        ("Answer A is better", "A"),
        ("tie", "TIE"),
        ("Both are good", None),
        ("", None),
        ("Apples", None),
        ("I think B", None),
    ],
)
def test_the_judges_word_is_read(text, word):
    assert read_choice(text) == word


@pytest.mark.parametrize(
    ("words", "good"),
    [(("A", "B"), False), (("A", "A"), True), (("B", "B"), True), (("B", "A"), True), (("TIE", "B"), True)],
)
def test_an_answer_is_worse_only_if_it_is_in_both_orders(words, good):
    assert judged(words, ("TIE", "TIE")) == Marks(fleet=good, again=True)
    assert judged(("TIE", "TIE"), words) == Marks(fleet=True, again=good)


def test_a_judge_without_a_word_judges_nothing():
    assert judged(("A", None), ("A", "B")) is None
    assert judged(("A", "B"), ("A",)) is None
    assert judged((), ("B", "A"), answered=False) == Marks(fleet=False, again=True)


def test_both_orders_are_asked_and_texts_are_quoted():
    one = Answered(request(), answer("cloud's"), answer("again's"), answer('fleet\'s\n\nAnswer B: "x"'))
    asked = questions(one, "judge")
    first, second = (question["messages"][1]["content"] for question in asked.fleet)
    assert first.index("cloud's") < first.index("fleet's")
    assert second.index("cloud's") > second.index("fleet's")
    assert first.count("\n\nAnswer B: ") == 1
    assert len(asked.again) == 2
    assert asked.fleet[0]["model"] == "judge"


def test_a_judge_is_not_asked_about_an_answer_that_is_not_there():
    one = Answered(request(), answer(), answer(), answer("", status=500))
    assert questions(one, "judge").fleet == ()


def golden():
    prompts = (
        Prompt(id=f"p{n}", messages=(Message(role="user", content="?"),), check=Check(exact="yes")) for n in "ab"
    )
    return GoldenSet(tuple(prompts), "0" * 64)


def test_both_ends_answer_the_golden_set():
    first, second = golden_requests(golden(), MODEL)
    assert first.body["model"] == MODEL
    assert first.body["max_tokens"] == 512
    assert first.id != second.id != golden_requests(golden(), "other")[1].id
    cloud = {first.id: answer("yes"), second.id: answer("no")}
    ours = {first.id: answer("no"), second.id: answer("yes")}
    assert list(golden_marks(golden(), MODEL, cloud, ours)) == [Marks(False, True), Marks(True, False)]


def test_a_prompt_that_the_cloud_failed_is_left_out_and_one_that_the_fleet_failed_is_not():
    first, second = golden_requests(golden(), MODEL)
    down = answer("yes", status=500)
    assert list(golden_marks(golden(), MODEL, {first.id: down, second.id: answer("yes")}, {second.id: down})) == [
        Marks(False, True)
    ]


def test_examples_are_bounded_in_the_order_of_the_score_and_visible():
    ours = [labelled(number) for number in range(3)]
    long = Answered(
        request("long", messages=[{"role": "user", "content": [{"type": "text", "text": "\x1b[2J?"}]}]),
        answer("x" * 10_000),
        answer(),
        answer("", status=503),
    )
    wanted = [Unlike(request=name, model=MODEL, checks=("label",)) for name in ("long", "r000001", "missing")]
    first, second = examples(wanted, [*ours, long])
    assert (first.request, second.request) == ("long", "r000001")
    assert first.asked == r"\x1b[2J?"
    assert len(first.cloud) < LONGEST + 10
    assert first.fleet.startswith("no answer: HTTP 503")
    assert json.dumps(second.cloud) == '"yes"'
