"""What a score says of synthetic answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright.migrate.plan.plan import Score
from rackwright.migrate.score.decide import decide
from rackwright.migrate.score.join import Answered
from rackwright.migrate.score.request_checks import Marks
from rackwright.migrate.score.result import Segment
from rackwright.migrate.score.tally import Tally
from rackwright.verdict.needed import pairs_for
from rackwright.verdict.result import Word
from tests.migrate.score.answers import MODEL, answer, labelled, labels, request, scored, tallied

RANK = {Word.FAIL: 0, Word.INCONCLUSIVE: 1, Word.PASS: 2}


def of(cells: tuple[int, int, int, int], least: int = 40, margin: float = 5) -> Segment:
    """Return the segment of all requests, for so many: both, only the cloud again, only the fleet, neither."""
    tally = Tally(frozenset())
    for count, one in zip(cells, ((True, True), (False, True), (True, False), (False, False)), strict=True):
        tally.cells["all", ""][Marks(*one)] += count
    (found,) = decide(tally, Score(least=least, margin=margin)).segments
    return found


@pytest.mark.parametrize(
    ("cells", "word"),
    [
        ((73, 0, 0, 0), Word.PASS),
        ((72, 0, 0, 0), Word.INCONCLUSIVE),
        ((117, 0, 3, 0), Word.PASS),
        ((30, 5, 4, 1), Word.INCONCLUSIVE),
        ((5, 33, 0, 2), Word.FAIL),
        ((0, 0, 0, 0), Word.INCONCLUSIVE),
        ((5, 0, 0, 0), Word.INCONCLUSIVE),
        ((50, 0, 20, 30), Word.PASS),
        ((2, 1, 2, 95), Word.INCONCLUSIVE),
        ((0, 0, 0, 100), Word.INCONCLUSIVE),
        ((10, 20, 20, 30), Word.INCONCLUSIVE),
    ],
    ids=[
        "identical, 73 pairs",
        "identical, 72 pairs",
        "like Q8_0: +2.5 points of 120",
        "like Q2_K: -2.5 points of 40",
        "layers cut: -82.5 points of 40",
        "no pair",
        "5 pairs",
        "the cloud disagrees with itself more than the fleet does",
        "the cloud nearly always disagrees with itself",
        "the cloud never agrees with itself",
        "the cloud is random",
    ],
)
def test_each_kind_of_answers_gets_its_word(cells, word):
    assert of(cells).word is word


def test_the_least_number_of_pairs_is_kept():
    assert of((99, 0, 0, 0), least=100).word is Word.INCONCLUSIVE
    assert of((100, 0, 0, 0), least=100).word is Word.PASS


def test_the_interval_is_newcombes_example():
    # Newcombe, Statistics in Medicine 17 (1998), 2635-2650: 36, 12, 2, 0 gives 0.0569 to 0.3404.
    found = of((36, 2, 12, 0))
    assert (found.low, found.high) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_the_number_of_pairs_is_that_of_the_formula():
    # migration.md: a margin of 5 points with 10 % disagreeing needs 248 pairs, of 2 points 1,546.
    assert pairs_for(0.10, 0.05) == 248
    assert pairs_for(0.10, 0.02) == 1546
    assert of((36, 2, 2, 0)).needed == 248


def test_the_number_of_identical_pairs_that_decide_is_found():
    assert of((40, 0, 0, 0)).needed in (73, 74)
    assert of((5, 0, 0, 0)).needed in (73, 74)


def test_nothing_would_decide_a_blind_segment():
    assert of((2, 1, 2, 95)).needed is None


@given(st.tuples(*[st.integers(0, 60)] * 4), st.booleans(), st.floats(1, 20))
@settings(max_examples=300, deadline=None)
def test_worse_answers_of_the_fleet_never_get_a_better_word(cells, agreed, margin):
    both, again, fleet, neither = cells
    if agreed and both:
        worse = (both - 1, again + 1, fleet, neither)
    elif fleet:
        worse = (both, again, fleet - 1, neither + 1)
    else:
        return
    assert RANK[of(worse, margin=margin).word] <= RANK[of(cells, margin=margin).word]


@given(st.tuples(*[st.integers(0, 60)] * 4))
@settings(max_examples=200, deadline=None)
def test_swapping_both_sides_mirrors_the_interval(cells):
    both, again, fleet, neither = cells
    one, other = of(cells), of((both, fleet, again, neither))
    if sum(cells):
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)


@given(st.tuples(*[st.integers(0, 60)] * 4))
@settings(max_examples=100, deadline=None)
def test_too_few_pairs_never_pass(cells):
    assert of(cells, least=sum(cells) + 20).word is not Word.PASS


def test_the_order_of_requests_makes_no_difference():
    found = labels(30, 3, 2, 5)
    assert scored(found) == scored(list(reversed(found)))


def test_a_failed_answer_counts_against_the_fleet():
    ours = [labelled(number) for number in range(80)]
    failed = [type(one)(one.request, one.cloud, one.again, answer("", status=503)) for one in ours]
    found = scored(failed)
    assert (found.word, found.fleet_failed) == (Word.FAIL, 80)


def test_requests_that_the_cloud_failed_are_left_out_and_counted():
    ours = [labelled(number) for number in range(80)]
    down = answer("", status=500)
    found = scored(
        [
            *ours,
            type(ours[0])(request("a"), down, answer(), answer()),
            type(ours[0])(request("b"), answer(), down, answer()),
        ]
    )
    assert (found.word, found.requests) == (Word.PASS, 80)
    assert found.left_out == {"the cloud failed": 1, "the cloud failed the second time": 1}


def test_a_model_of_the_plan_without_requests_is_open():
    found = decide(tallied(labels(80), (MODEL, "gpt-4o")), Score())
    assert found.word is Word.INCONCLUSIVE
    assert "model gpt-4o" in found.why


def test_a_model_that_the_plan_does_not_map_is_left_out():
    found = decide(tallied(labels(80), ("gpt-4o",)), Score())
    assert (found.requests, found.left_out) == (0, {"the plan has no such model": 80})


def test_one_bad_check_fails_the_whole():
    cells = {("all", ""): (500, 5), ("check", "tool"): (0, 10)}
    tally = Tally(frozenset())
    for place, (good, bad) in cells.items():
        tally.expect(*place)
        tally.cells[place] += {Marks(True, True): good, Marks(False, True): bad}
    found = decide(tally, Score())
    assert [(one.name, one.word) for one in found.segments] == [("all", Word.PASS), ("check tool", Word.FAIL)]
    assert found.word is Word.FAIL


def test_a_check_with_few_pairs_does_not_decide_but_is_said():
    tally = Tally(frozenset())
    tally.cells["all", ""][Marks(True, True)] = 500
    tally.mark("check", "tool", Marks(True, True))
    found = decide(tally, Score())
    assert found.word is Word.PASS
    assert found.doubts == ("check tool isn't decided: 1 pair, at least 40 are needed",)


def test_the_most_different_requests_come_first():
    found = scored([labelled(1), labelled(2, fleet=False), *labels(3)])
    assert [(one.request, one.checks) for one in found.unlike] == [("r000002", ("label",))]


def test_one_request_asked_eighty_times_is_one_pair() -> None:
    """Pairs of equal requests aren't independent: their interval would be far too narrow."""
    same = labels(1)[0].request.body
    ours = [
        replace(one, request=one.request.model_copy(update={"body": {**same, "user": str(number), "stream": True}}))
        for number, one in enumerate(labels(80))
    ]
    found = scored(ours)
    assert (found.word, found.requests, found.left_out) == (Word.INCONCLUSIVE, 1, {"equal to another request": 79})
    assert "79 requests were left out, 1 were scored" in found.doubts


def test_what_is_compared_by_form_alone_is_said() -> None:
    text = "Whether one should go by train or by bus is a question that has more than one answer."
    ours = [
        Answered(request(f"t{number}"), *(answer(text, asked=asked) for asked in ("cloud", "again", "fleet")))
        for number in range(80)
    ]
    found = scored([*ours, *labels(20)])
    assert found.word is Word.PASS
    assert any(doubt.startswith("80 of 100 requests are compared by form alone") for doubt in found.doubts)
    assert not any("by form alone" in doubt for doubt in scored(labels(80)).doubts)
