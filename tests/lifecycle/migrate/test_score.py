"""A score reads the encrypted folder, asks what it has to, and stores its result without any text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext

import pytest

from rackwright.errors import FleetError, RackwrightError
from rackwright.lifecycle.migrate.known_way import known_way
from rackwright.lifecycle.migrate.replay.answered import reading
from rackwright.lifecycle.migrate.score.procedure import score
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from rackwright.migrate.score.join import Answered, Join
from rackwright.migrate.score.result import Scored
from rackwright.migrate.score.side_by_side import examples
from rackwright.migrate.side import Side
from rackwright.verdict.result import Word
from tests.lifecycle.migrate.desk_ends import Agreeing
from tests.lifecycle.migrate.desks import Desk
from tests.migrate.score.answers import answer, labels, lines, request

TEXT = "Whether one should go by train or by bus is a question that the two answers below don't agree on at all."


def fill(desk: Desk, answered: Iterable[Answered]) -> None:
    for kind, text in lines(answered).items():
        desk.open().folder.write(kind, text)


def texts(count: int) -> list[Answered]:
    """Return requests that only a judge can compare."""
    return [
        Answered(
            request(f"t{number}"),
            *(answer(f"{TEXT} {asked}", name=f"t{number}", asked=asked) for asked in ("cloud", "again", "fleet")),
        )
        for number in range(count)
    ]


class Ends:
    """Both ends, and a judge that finds the fleet's answers worse."""

    def __init__(self, word: str = "") -> None:
        self.word = word
        self.asked: list[tuple[Side, int]] = []

    def __call__(self, side: Side, requests: Sequence[RecordedRequest]) -> Mapping[str, ReplayedAnswer]:
        self.asked.append((side, len(requests)))
        return {one.id: answer(self._text(side, one), name=one.id) for one in requests}

    def _text(self, side: Side, one: RecordedRequest) -> str:
        if not one.id.startswith("judge/"):
            return "yes" if side == "cloud" else "no"
        said = str(one.body["messages"][1]["content"])
        first = said.partition("Answer B")[0]
        return self.word or ("TIE" if "again" in said else "B" if f"{TEXT} fleet" in first else "A")


def test_a_score_is_stored_with_its_word(desk: Desk) -> None:
    fill(desk, labels(80))
    found = score(desk.open())
    assert (found.word, found.requests) == (Word.PASS, 80)
    place = desk.open()
    assert place.result("score", Scored) == found
    assert place.entries()[-1].what == "PASS, 80 requests: all 6 segments that decide are within the margin"


def test_the_stored_result_has_no_text_and_examples_have(desk: Desk) -> None:
    fill(desk, labels(60, again=20))
    found = score(desk.open())
    assert found.word is Word.FAIL
    assert "yes" not in found.model_dump_json()
    place = desk.open()
    first, *_ = examples(found.unlike, Join(reading(place.folder, known_way(place))))
    assert (first.cloud, first.fleet, first.checks) == ("yes", "no", ("label",))


def test_without_answers_the_next_command_is_said(desk: Desk) -> None:
    with pytest.raises(RackwrightError, match="nothing was replayed yet") as caught:
        score(desk.open())
    assert caught.value.problems[0].next == "rackwright migrate replay support"


def test_a_changed_file_is_refused(desk: Desk) -> None:
    fill(desk, labels(80))
    (one,) = desk.records.glob("answers-fleet-*.age")
    one.write_bytes(one.read_bytes()[:-1])
    with pytest.raises(RackwrightError, match="was changed"):
        score(desk.open())
    assert desk.open().result("score", Scored) is None


def test_both_ends_answer_the_golden_set(desk: Desk) -> None:
    prompts = (
        {"id": f"p{n}", "messages": [{"role": "user", "content": "?"}], "check": {"exact": "yes"}} for n in range(20)
    )
    (desk.folder / "golden.jsonl").write_text("\n".join(map(json.dumps, prompts)))
    desk.edit("currency: EUR", "score: {golden: golden.jsonl}\ncurrency: EUR")
    fill(desk, labels(80))
    ends = Ends()
    found = score(desk.open(), lambda _: nullcontext(ends))
    assert ends.asked == [("cloud", 20), ("fleet", 20)]
    (golden,) = [one for one in found.segments if one.kind == "golden"]
    assert (golden.word, golden.pairs, golden.fleet, golden.again) == (Word.FAIL, 20, 0, 1)
    assert found.word is Word.FAIL
    assert found.golden_digest
    assert f"FAIL, 80 requests, golden set {found.golden_digest[:12]}: " in desk.open().entries()[-1].what


def golden_set(desk: Desk) -> None:
    prompt = {"messages": [{"role": "user", "content": "?"}], "check": {"exact": "yes"}, "max_tokens": 1000}
    text = "\n".join(json.dumps({"id": f"p{n}", **prompt}) for n in range(20))
    (desk.folder / "golden.jsonl").write_text(text)
    desk.edit("currency: EUR", "score: {golden: golden.jsonl, judge: assistant}\ncurrency: EUR")
    desk.edit("output: 0.6", "output: 60")


def test_the_operator_agrees_to_the_most_that_the_golden_set_may_cost(desk: Desk) -> None:
    golden_set(desk)
    fill(desk, [*texts(3), *labels(40)])
    operator, ends = Agreeing(agrees=False), Ends()
    with pytest.raises(RackwrightError, match="not confirmed"):
        score(desk.open(operator), lambda _: nullcontext(ends))
    assert not ends.asked
    assert desk.open().entries() == ()
    assert operator.asked == ["Ask openai the golden set?"]
    # 20 answers of up to 1,000 tokens at 60 per million.
    assert operator.said == [
        "golden set: 20 requests to the cloud openai, at most 1.20 EUR; 50.00 of 50.00 EUR are left"
    ]
    operator.agrees = True
    assert score(desk.open(operator), lambda _: nullcontext(ends)).golden_digest
    assert ("cloud", 20) in ends.asked


def test_a_golden_set_that_the_budget_does_not_cover_is_refused_before_anyone_is_asked(desk: Desk) -> None:
    golden_set(desk)
    desk.edit("budget: 50", "budget: 1")
    fill(desk, [*texts(3), *labels(40)])
    operator, ends = Agreeing(), Ends()
    with pytest.raises(RackwrightError, match=r"the golden set may cost 1\.20 EUR, and 1\.00 are left"):
        score(desk.open(operator), lambda _: nullcontext(ends))
    assert (ends.asked, operator.asked) == ([], [])


@pytest.mark.parametrize("written", ["{}", "{judge: assistant}"])
def test_without_a_golden_set_the_operator_is_not_asked(desk: Desk, written: str) -> None:
    desk.edit("currency: EUR", f"score: {written}\ncurrency: EUR")
    fill(desk, [*texts(3), *labels(40)])
    operator, ends = Agreeing(agrees=False), Ends()
    score(desk.open(operator), lambda _: nullcontext(ends))
    assert operator.asked == []
    assert {side for side, _ in ends.asked} <= {"fleet"}


def test_prompts_of_the_golden_set_that_the_cloud_failed_are_counted(desk: Desk) -> None:
    """Otherwise a set of eighty could pass with the forty that are left, and nobody would see it."""
    prompts = (
        {"id": f"p{n}", "messages": [{"role": "user", "content": "?"}], "check": {"exact": "yes"}} for n in range(20)
    )
    (desk.folder / "golden.jsonl").write_text("\n".join(map(json.dumps, prompts)))
    desk.edit("currency: EUR", "score: {golden: golden.jsonl}\ncurrency: EUR")
    fill(desk, labels(80))

    def fails(side: Side, requests: Sequence[RecordedRequest]) -> Mapping[str, ReplayedAnswer]:
        status = {one.id: 500 if side == "cloud" and number < 5 else 200 for number, one in enumerate(requests)}
        return {one.id: answer("yes", name=one.id, status=status[one.id]) for one in requests}

    found = score(desk.open(), lambda _: nullcontext(fails))
    assert found.left_out == {"the cloud failed a prompt of the golden set": 5}


def test_a_golden_set_that_is_gone_is_refused_before_anything_is_asked(desk: Desk) -> None:
    fill(desk, labels(80))
    prompt = {"messages": [{"role": "user", "content": "?"}], "check": {"exact": "yes"}}
    golden = desk.folder / "golden.jsonl"
    golden.write_text("\n".join(json.dumps({"id": f"p{n}", **prompt}) for n in range(20)))
    desk.edit("currency: EUR", "score: {golden: golden.jsonl}\ncurrency: EUR")
    place, ends = desk.open(), Ends()
    golden.unlink()
    with pytest.raises(FleetError, match="no such file"):
        score(place, lambda _: nullcontext(ends))
    assert not ends.asked


def test_a_judge_compares_what_has_no_other_check(desk: Desk) -> None:
    desk.edit("currency: EUR", "score: {judge: assistant}\ncurrency: EUR")
    fill(desk, [*texts(50), *labels(40)])
    ends = Ends()
    found = score(desk.open(), lambda _: nullcontext(ends))
    assert ends.asked == [("fleet", 128), ("fleet", 72)]
    (judge,) = [one for one in found.segments if one.kind == "judge"]
    assert (judge.word, judge.of, judge.pairs, judge.fleet, judge.again) == (Word.FAIL, "assistant", 50, 0, 1)
    assert found.requests == 90
    assert "the judge assistant is a model that is judged, and models prefer answers like their own" in found.doubts


def test_a_judge_without_a_word_decides_nothing(desk: Desk) -> None:
    desk.edit("currency: EUR", "score: {judge: assistant}\ncurrency: EUR")
    fill(desk, texts(80))
    found = score(desk.open(), lambda _: nullcontext(Ends("I can't say.")))
    (judge,) = [one for one in found.segments if one.kind == "judge"]
    assert (judge.pairs, judge.word, judge.decides) == (0, Word.INCONCLUSIVE, True)
    assert found.word is Word.INCONCLUSIVE
    assert "the judge gave no verdict on 80 requests" in found.doubts


def test_a_judge_that_the_fleet_does_not_have_is_refused(desk: Desk) -> None:
    fill(desk, labels(80))
    desk.edit("currency: EUR", "score: {judge: nobody}\ncurrency: EUR")
    with pytest.raises(RackwrightError, match="nobody"):
        score(desk.open(), lambda _: nullcontext(Ends()))


def test_what_could_not_be_compared_is_counted(desk: Desk) -> None:
    fill(desk, labels(80))
    desk.open().folder.write("requests", [request("unasked").model_dump_json()])
    desk.open().folder.write("answers-cloud", [answer("yes", name="r000000", asked="cloud").model_dump_json()])
    found = score(desk.open())
    assert found.left_out == {"not replayed": 1, "second line with the same id": 1}
