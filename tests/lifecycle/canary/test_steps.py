"""The next step of a canary at every kind of moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rackwright.fleet.sections.canary import Canary
from rackwright.lifecycle.canary.steps import RELOOKS, Moment, Next, following, growth_for, is_due, is_hopeless, looks
from rackwright.verdict import Comparison, Figure, Request, Side, Traffic, Verdict, Word

RULES = Canary(share=(5, 25), min_duration="600s", min_requests=200, max_duration="7200s")
NOTHING, HELD, OVER = 10, 600, 7200


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("lasted", [NOTHING, HELD, OVER])
@pytest.mark.parametrize("requests", [0, 200])
def test_a_fail_goes_back_whenever_it_comes(last, lasted, requests):
    assert following(RULES, Moment(last, lasted, requests, Word.FAIL)) is Next.BACK


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("word", [None, Word.PASS, Word.INCONCLUSIVE])
@pytest.mark.parametrize(("lasted", "requests"), [(599, 200), (600, 199), (NOTHING, 0)])
def test_without_time_and_requests_nothing_grows(last, word, lasted, requests):
    assert following(RULES, Moment(last, lasted, requests, word)) is Next.WAIT


@pytest.mark.parametrize("last", [False, True])
def test_too_few_requests_pause_it_when_time_is_over(last):
    assert following(RULES, Moment(last, OVER, 199)) is Next.PAUSE


@pytest.mark.parametrize("word", [Word.PASS, Word.INCONCLUSIVE])
def test_a_step_before_the_last_grows_where_nothing_speaks_against_it(word):
    assert following(RULES, Moment(False, HELD, 200, word)) is Next.GROW


def test_only_a_pass_goes_on():
    assert following(RULES, Moment(True, HELD, 200, Word.PASS)) is Next.ON
    assert following(RULES, Moment(True, HELD, 200, Word.INCONCLUSIVE)) is Next.WAIT
    assert following(RULES, Moment(True, OVER, 20_000, Word.INCONCLUSIVE)) is Next.PAUSE
    assert following(RULES, Moment(True, OVER, 200, Word.PASS)) is Next.ON


def test_a_verdict_is_asked_for_at_the_end_of_a_step_and_not_before():
    assert not is_due(RULES, Moment(False, 599, 200), ())
    assert not is_due(RULES, Moment(False, 600, 199), ())
    assert is_due(RULES, Moment(False, 600, 200), ())


def test_the_last_step_is_judged_again_when_its_requests_have_doubled():
    assert not is_due(RULES, Moment(True, 900, 399), (200,))
    assert is_due(RULES, Moment(True, 900, 400), (200,))
    assert not is_due(RULES, Moment(False, 900, 400), (200,))
    assert not is_due(RULES, Moment(True, 900, 9000), (200, 400, 800))
    assert is_due(RULES, Moment(True, OVER, 801), (200, 400, 800))


def test_the_last_step_is_judged_again_when_it_has_what_the_verdict_says_it_takes():
    assert not is_due(RULES, Moment(True, 900, 999), (200,), 5.0)
    assert is_due(RULES, Moment(True, 900, 1000), (200,), 5.0)
    assert is_due(RULES, Moment(True, OVER, 201), (200,), 5.0)


def open_on(figure: Figure, needed: int | None, *, decides: bool = True) -> Comparison:
    side = Side(300, 100, 0.0)
    return Comparison(figure, Word.INCONCLUSIVE, "", side, side, 0.01, None, needed, decides)


@pytest.mark.parametrize(
    ("comparisons", "growth"),
    [
        ((open_on(Figure.ERRORS, 900), open_on(Figure.TTFT_P95, 200)), 9.9),
        ((open_on(Figure.ERRORS, 110),), 2),
        ((open_on(Figure.ERRORS, None),), 2),
        ((open_on(Figure.ERRORS, 90_000),), 16),
        ((open_on(Figure.GOLDEN, 900),), 2),
        ((open_on(Figure.TPOT_P95, 900, decides=False),), 2),
        ((replace(open_on(Figure.ERRORS, 900), word=Word.PASS),), 2),
        ((replace(open_on(Figure.ERRORS, 20), candidate=Side(0, 0, None)),), 2),
    ],
)
def test_a_verdict_says_how_much_more_it_takes(comparisons, growth):
    assert growth_for(Verdict(Word.INCONCLUSIVE, "", comparisons, 0.95, 0.99)) == pytest.approx(growth)


def judged(rules: Canary, growth: int) -> int:
    """Return how often a verdict is asked for if the canary never gets a final one."""
    total = 0
    for index in range(len(rules.share)):
        asked: tuple[int, ...] = ()
        last = index == len(rules.share) - 1
        for second in range(0, rules.max_duration + 1, 10):
            moment = Moment(last, second, second * growth)
            if is_due(rules, moment, asked):
                asked = (*asked, moment.requests)
                total += 1
            elif asked and not last:
                break
    return total


@pytest.mark.parametrize("growth", [1, 7, 50])
@pytest.mark.parametrize("share", [(5,), (5, 25), (1, 5, 25)])
def test_no_more_verdicts_are_asked_for_than_the_chances_are_divided_by(share, growth):
    rules = RULES.model_copy(update={"share": share})
    assert judged(rules, growth) <= looks(rules)
    assert looks(rules) == len(share) + RELOOKS + 1
    assert looks(rules.model_copy(update={"golden": "prompts.jsonl"})) == looks(rules) + 1


def failing(failed: int, of: int) -> Traffic:
    return Traffic(tuple(Request(str(number), error=number < failed) for number in range(of)))


@pytest.mark.parametrize(
    ("running", "candidate", "hopeless"),
    [
        (failing(0, 100), failing(20, 20), True),
        (failing(0, 100), failing(11, 20), True),
        (failing(0, 100), failing(10, 20), False),
        (failing(0, 100), failing(19, 19), False),
        (failing(10, 100), failing(20, 20), False),
        (failing(0, 0), failing(20, 20), False),
        (failing(0, 100), Traffic((*[Request("a", error=True)] * 11, *failing(0, 10).requests)), False),
        (failing(0, 100), Traffic(failing(11, 20).requests * 2), True),
        (failing(0, 100), failing(0, 0), False),
    ],
)
def test_what_fails_most_conversations_is_hopeless_where_the_others_do_not(running, candidate, hopeless):
    assert is_hopeless(running, candidate) is hopeless
