"""One word for each place where an interval may be."""

from __future__ import annotations

import pytest

from rackwright.verdict import Comparison, Difference, Figure, Interval, Side, Thresholds, Word
from rackwright.verdict.figure import Measured, TooLittle
from rackwright.verdict.judge import judge, threshold_of

SIDE = Side(400, 100, 0.5)


def judged(figure: Figure, estimate: float, low: float, high: float, noise: float | None = None) -> Comparison:
    interval = Interval(low, high)
    return judge(Measured(figure, SIDE, SIDE, Difference(estimate, interval, interval, noise)), Thresholds())


@pytest.mark.parametrize(
    ("figure", "estimate", "low", "high", "word"),
    [
        (Figure.ERRORS, 0.0, -0.005, 0.009, Word.PASS),
        (Figure.ERRORS, -0.2, -0.3, -0.1, Word.PASS),
        (Figure.ERRORS, 0.0, -0.01, 0.01, Word.INCONCLUSIVE),
        (Figure.ERRORS, 0.02, 0.01, 0.03, Word.INCONCLUSIVE),
        (Figure.ERRORS, 0.02, 0.011, 0.03, Word.FAIL),
        (Figure.TTFT_MEDIAN, 1.0, 0.9, 1.2, Word.PASS),
        (Figure.TTFT_MEDIAN, 0.5, 0.4, 0.6, Word.PASS),
        (Figure.TTFT_MEDIAN, 1.2, 0.9, 1.3, Word.INCONCLUSIVE),
        (Figure.TTFT_MEDIAN, 2.0, 1.26, 3.0, Word.FAIL),
        (Figure.TTFT_P95, 1.3, 1.26, 1.4, Word.PASS),
        (Figure.GOLDEN_TPOT, 2.0, 1.9, 2.1, Word.FAIL),
        (Figure.GOLDEN, 0.0, -0.04, 0.04, Word.PASS),
        (Figure.GOLDEN, 0.3, 0.2, 0.4, Word.PASS),
        (Figure.GOLDEN, -0.02, -0.06, 0.02, Word.INCONCLUSIVE),
        (Figure.GOLDEN, -0.8, -0.9, -0.06, Word.FAIL),
        (Figure.FORMATS, -0.3, -0.4, -0.2, Word.FAIL),
    ],
)
def test_the_word_is_where_the_interval_lies(figure, estimate, low, high, word):
    assert judged(figure, estimate, low, high).word is word


@pytest.mark.parametrize(
    ("figure", "estimate", "low", "high", "noise", "said"),
    [
        (Figure.TTFT_MEDIAN, 2.0, 1.5, 2.5, 1.6, "1.60 times"),
        (Figure.ERRORS, 0.04, 0.02, 0.06, 0.03, "3.0 points"),
    ],
)
def test_what_the_running_version_does_to_itself_is_no_reason_to_fail(figure, estimate, low, high, noise, said):
    assert judged(figure, estimate, low, high).word is Word.FAIL
    found = judged(figure, estimate, low, high, noise)
    assert found.word is Word.INCONCLUSIVE
    assert found.why.endswith(f"the running version itself varies by {said}")


def test_a_pass_is_judged_by_the_plain_interval_and_a_fail_by_the_wide_one():
    plain, wide = Interval(0.9, 1.2), Interval(0.7, 1.5)
    within = Measured(Figure.TTFT_MEDIAN, SIDE, SIDE, Difference(1.0, plain, wide, None))
    assert judge(within, Thresholds()).word is Word.PASS
    plain, wide = Interval(1.3, 2.0), Interval(1.2, 2.2)
    beyond = judge(Measured(Figure.TTFT_MEDIAN, SIDE, SIDE, Difference(1.6, plain, wide, None)), Thresholds())
    assert beyond.word is Word.INCONCLUSIVE
    assert "anywhere in 1.20 to 2.20, and the threshold is 1.25 times" in beyond.why


@pytest.mark.parametrize(
    ("estimate", "low", "high", "needed"),
    [
        # The upper half is twice as wide as the distance to the threshold: four times as many are needed.
        (0.0, -0.02, 0.02, 400),
        # The lower half is 1.5 times as wide as the distance back to the threshold; rounded up to two digits.
        (0.03, 0.0, 0.06, 230),
        (0.01, -0.01, 0.03, None),
    ],
)
def test_what_is_open_says_how_many_would_tell(estimate, low, high, needed):
    found = judged(Figure.ERRORS, estimate, low, high)
    assert (found.word, found.needed) == (Word.INCONCLUSIVE, needed)
    enough = f"100 of about {needed}" if needed else "100, and the number needed can't be estimated"
    assert found.why.endswith(f"and the threshold is +1.0 points; not enough conversations: {enough}")


def test_too_little_is_never_a_pass():
    found = judge(Measured(Figure.TTFT_P95, SIDE, SIDE, TooLittle("there are 3", 200)), Thresholds())
    assert (found.word, found.needed, found.difference) == (Word.INCONCLUSIVE, 200, None)
    assert found.why == "too little data: there are 3"


def test_each_figure_has_its_threshold():
    found = {figure: threshold_of(figure, Thresholds()) for figure in Figure}
    assert found == {
        Figure.ERRORS: 0.01,
        Figure.TTFT_MEDIAN: 1.25,
        Figure.TTFT_P95: 1.5,
        Figure.TPOT_MEDIAN: 1.25,
        Figure.TPOT_P95: 1.5,
        Figure.GOLDEN_TTFT: 1.25,
        Figure.GOLDEN_TPOT: 1.25,
        Figure.FORMATS: -0.05,
        Figure.GOLDEN: -0.05,
    }
    other = Thresholds(ttft_median=1.0, formats=0.2)
    assert (threshold_of(Figure.GOLDEN_TTFT, other), threshold_of(Figure.FORMATS, other)) == (2.0, -0.2)


@pytest.mark.parametrize(
    "wrong", [{"errors": 0}, {"golden": 1}, {"formats": -0.1}, {"ttft_p95": 0}, {"tpot_p95": 101}]
)
def test_a_threshold_that_could_not_be_met_or_broken_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} should be"):
        Thresholds(**wrong)
