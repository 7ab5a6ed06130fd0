from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from rackwright.verdict import Answer, Evidence, Figure, Thresholds, Traffic, Word, decide
from tests.verdict.simulated import EQUAL, Size, Version, evidence, traffic

MUCH = Size(running=1600, candidate=1200, prompts=800)


def seen(candidate: Version, size: Size = MUCH, seed: int = 3) -> Evidence:
    return evidence(np.random.default_rng(seed), candidate, size=size)


judged = partial(decide, resamples=300)


def without(found: Evidence, *names: str) -> Evidence:
    """Remove these times from every request and answer."""
    nothing = dict.fromkeys(names)
    sides = (Traffic(tuple(replace(one, **nothing) for one in side.requests)) for side in _sides(found))
    golden = found.golden
    assert golden is not None
    pairs, again = (
        tuple(replace(pair, candidate=replace(pair.candidate, **nothing)) for pair in asked)
        for asked in (golden.pairs, golden.again)
    )
    return Evidence(*sides, replace(golden, pairs=pairs, again=again))


def _sides(found: Evidence) -> tuple[Traffic, Traffic]:
    return found.running, found.candidate


def test_an_equal_candidate_passes_where_much_was_seen():
    found = judged(seen(EQUAL))
    assert found.word is Word.PASS, found.why
    assert [comparison.figure for comparison in found.comparisons] == list(Figure)
    assert found.why == "all 9 comparisons are within their thresholds"
    assert found.not_compared == ()


@pytest.mark.parametrize(
    ("candidate", "figures"),
    [
        (Version(errors=0.08), {Figure.ERRORS}),
        (Version(slowness=2), {figure for figure in Figure if figure.is_ratio}),
        (Version(formats=0.8), {Figure.FORMATS}),
        (Version(score=0.7), {Figure.GOLDEN}),
    ],
)
def test_what_is_worse_fails_and_nothing_else(candidate, figures):
    found = judged(seen(candidate))
    assert found.word is Word.FAIL
    assert {comparison.figure for comparison in found.of(Word.FAIL)} == figures
    first = next(figure for figure in Figure if figure in figures)
    assert found.why.startswith(f"{first} is too bad: ")


def test_little_is_inconclusive_and_says_what_is_missing():
    found = judged(seen(EQUAL, Size(running=200, candidate=10, prompts=15)))
    assert found.word is Word.INCONCLUSIVE
    assert {comparison.word for comparison in found.comparisons} == {Word.INCONCLUSIVE}
    assert {comparison.figure: comparison.needed for comparison in found.comparisons} == {
        Figure.ERRORS: None,
        Figure.TTFT_MEDIAN: 20,
        Figure.TTFT_P95: 200,
        Figure.TPOT_MEDIAN: 20,
        Figure.TPOT_P95: 200,
        Figure.GOLDEN_TTFT: 20,
        Figure.GOLDEN_TPOT: 20,
        Figure.GOLDEN: 20,
    }
    assert found.why.startswith(
        "errors is open: too little data: not enough conversations of the candidate: 10, at least 20 are needed"
    )


def test_nothing_at_all_is_inconclusive():
    found = judged(Evidence(Traffic(), Traffic()))
    assert found.word is Word.INCONCLUSIVE
    assert [comparison.figure for comparison in found.comparisons] == list(Figure)[:3]
    assert [comparison.running.value for comparison in found.comparisons] == [None] * 3


def test_no_golden_set_leaves_live_traffic_and_says_so():
    found = judged(replace(seen(EQUAL), golden=None))
    assert [comparison.figure for comparison in found.comparisons] == list(Figure)[:5]
    assert found.not_compared == ("golden score, valid formats and times of the golden set: there is no golden set",)
    assert found.golden_digest is None


def test_times_per_token_that_nobody_knows_are_left_out_and_named():
    found = judged(without(seen(EQUAL), "tpot"))
    assert not {Figure.TPOT_MEDIAN, Figure.TPOT_P95, Figure.GOLDEN_TPOT} & {one.figure for one in found.comparisons}
    assert found.not_compared == (
        "time per token of live traffic: the number of tokens is known for too few answers",
        "time per token of the golden set: it isn't known for both versions for any prompt",
    )


def test_times_to_the_first_token_that_nobody_knows_are_no_pass():
    found = judged(without(seen(EQUAL), "ttft"))
    assert found.word is Word.INCONCLUSIVE
    assert {comparison.figure for comparison in found.of(Word.INCONCLUSIVE)} >= {Figure.TTFT_MEDIAN, Figure.TTFT_P95}


def test_times_that_one_side_alone_tells_are_no_pass():
    whole = seen(EQUAL)
    found = judged(replace(whole, candidate=without(whole, "tpot").candidate))
    assert {comparison.figure for comparison in found.of(Word.INCONCLUSIVE)} == {Figure.TPOT_MEDIAN, Figure.TPOT_P95}


def with_times(found: Evidence, *slowness: float) -> Evidence:
    """The candidate takes this many times as long; the factors apply to the prompts in turn."""
    golden = found.golden
    assert golden is not None
    pairs = (
        replace(
            pair,
            candidate=replace(
                pair.running, ttft=_longer(pair.running.ttft, times), tpot=_longer(pair.running.tpot, times)
            ),
        )
        for pair, times in zip(golden.pairs, slowness * len(golden.pairs), strict=False)
    )
    return replace(found, golden=replace(golden, pairs=tuple(pairs)))


def _longer(time: float | None, times: float) -> float | None:
    return None if time is None else time * times


def test_a_time_that_the_golden_set_leaves_open_is_left_to_clients():
    found = judged(with_times(seen(EQUAL), 1.1, 1.4))
    assert found.word is Word.PASS, found.why
    assert found.why == "all 7 comparisons that decide are within their thresholds"
    times = found.of(Word.INCONCLUSIVE)
    assert [(one.figure, one.decides) for one in times] == [(Figure.GOLDEN_TTFT, False), (Figure.GOLDEN_TPOT, False)]
    assert all(one.why.endswith("; the times of clients' requests decide") for one in times)


def test_a_time_that_clients_don_t_tell_is_decided_by_the_golden_set():
    whole = with_times(seen(EQUAL), 1.1, 1.4)
    found = judged(replace(without(whole, "tpot"), golden=whole.golden))
    assert found.word is Word.INCONCLUSIVE
    assert found.why.startswith("golden time per token is open: ")
    assert [one.figure for one in found.comparisons if not one.decides] == [Figure.GOLDEN_TTFT]


def test_a_golden_set_that_takes_far_longer_fails_whatever_clients_see():
    found = judged(with_times(seen(EQUAL), 1.6))
    assert {one.figure for one in found.of(Word.FAIL)} == {Figure.GOLDEN_TTFT, Figure.GOLDEN_TPOT}
    assert found.word is Word.FAIL


def test_a_set_whose_checks_ask_for_no_format_is_said_to():
    whole = seen(EQUAL)
    assert whole.golden is not None
    plain = tuple(replace(pair, running=replace(pair.running, valid=None)) for pair in whole.golden.pairs)
    found = judged(replace(whole, golden=replace(whole.golden, pairs=plain)))
    assert Figure.FORMATS not in {comparison.figure for comparison in found.comparisons}
    assert found.not_compared == ("valid formats: no check of the golden set asks for a format",)


def test_formats_that_few_prompts_ask_for_are_left_out_and_named():
    found = judged(seen(EQUAL, replace(MUCH, prompts=38)))
    assert Figure.FORMATS not in {comparison.figure for comparison in found.comparisons}
    assert found.not_compared == ("valid formats: only 19 prompts ask for a format, at least 20 are needed",)
    assert Figure.FORMATS in {one.figure for one in judged(seen(EQUAL, replace(MUCH, prompts=40))).comparisons}


def scored(found: Evidence, running: int, candidate: int) -> Evidence:
    """Each version passes this many prompts."""
    golden = found.golden
    assert golden is not None
    pairs = (
        replace(
            pair,
            running=_passing(pair.running, number < running),
            candidate=_passing(pair.candidate, number < candidate),
        )
        for number, pair in enumerate(golden.pairs)
    )
    return replace(found, golden=replace(golden, pairs=tuple(pairs)))


def _passing(answer: Answer, passes: bool) -> Answer:
    return replace(answer, passed=passes, valid=None if answer.valid is None else passes)


def test_a_golden_set_that_the_running_version_hardly_passes_tells_nothing():
    found = judged(scored(seen(EQUAL), 0, 0))
    assert found.word is Word.INCONCLUSIVE
    assert {one.figure: (one.why, one.needed) for one in found.of(Word.INCONCLUSIVE)} == {
        Figure.FORMATS: (
            "too little data: only 0 of the running version's 400 answers have a valid format: even if the candidate "
            "lost all of them, that wouldn't surely be beyond 5 points, so nothing can be concluded",
            None,
        ),
        Figure.GOLDEN: (
            "too little data: only 0 of the running version's 800 answers pass: even if the candidate lost all of "
            "them, that wouldn't surely be beyond 5 points, so nothing can be concluded",
            None,
        ),
    }


@pytest.mark.parametrize(("passed", "word"), [(52, Word.INCONCLUSIVE), (53, Word.PASS)])
def test_what_it_passes_must_surely_be_more_than_may_be_lost(passed, word):
    # Of 800, Wilson's lower limit is above 5 % from 53 on.
    score = judged(scored(seen(EQUAL), passed, passed)).comparisons[-1]
    assert (score.figure, score.word) == (Figure.GOLDEN, word)


def test_a_candidate_that_loses_all_of_little_fails():
    assert judged(scored(seen(EQUAL), 100, 0)).word is Word.FAIL


def test_the_same_evidence_gives_the_same_verdict():
    assert judged(seen(Version(slowness=1.2))) == judged(seen(Version(slowness=1.2)))


def test_more_looks_make_every_interval_wider():
    once, often = judged(seen(EQUAL)), judged(seen(EQUAL), looks=10)
    assert (once.chance, often.chance) == pytest.approx((0.95, 0.995))
    assert often.wide_chance > once.wide_chance
    assert once.wide_chance == pytest.approx(1 - 0.05 / len(Figure))
    for one, other in zip(once.comparisons, often.comparisons, strict=True):
        assert one.difference is not None
        assert other.difference is not None
        assert _width(other.difference.interval) > _width(one.difference.interval)
        assert _width(other.difference.wide) > _width(one.difference.wide)


def test_each_comparison_that_is_made_gets_an_equal_part_of_the_chance_to_err():
    live = judged(replace(seen(EQUAL), golden=None))
    assert live.wide_chance == pytest.approx(1 - 0.05 / len(live.comparisons))
    assert len(live.comparisons) == 5


def test_times_of_zero_are_times():
    """The access log counts whole milliseconds."""
    found = seen(EQUAL)
    sides = [Traffic(tuple(replace(one, ttft=0.0) for one in side.requests)) for side in _sides(found)]
    told = {one.figure: one.difference for one in judged(Evidence(*sides, found.golden)).comparisons}
    assert told[Figure.TTFT_MEDIAN].estimate == 1.0


def _width(interval):
    return interval.high - interval.low


def test_thresholds_are_the_operators():
    slower = seen(Version(slowness=1.6))
    assert judged(slower).word is Word.FAIL
    patient = Thresholds(ttft_median=1.0, ttft_p95=1.5, tpot_median=1.0, tpot_p95=1.0)
    assert judged(slower, patient).word is Word.PASS


def test_one_client_whose_every_request_fails_does_not_fail_the_candidate():
    rng = np.random.default_rng(5)
    running, candidate = traffic(rng, Version(errors=0), 400), traffic(rng, Version(errors=0), 100)
    poisoned = tuple(replace(candidate.requests[0], conversation="poison", error=True) for _ in range(30))
    found = judged(Evidence(running, Traffic((*candidate.requests, *poisoned))))
    errors = found.comparisons[0]
    assert errors.difference is not None
    assert errors.difference.estimate > 0.05
    assert errors.word is Word.INCONCLUSIVE


@pytest.mark.parametrize("faster", [1.0, 0.5, 2.0])
def test_the_noise_of_a_time_is_how_far_the_running_version_is_from_itself_either_way(faster):
    found = seen(EQUAL)
    assert found.golden is not None
    again = tuple(
        replace(pair, running=replace(pair.running, ttft=1.0), candidate=replace(pair.candidate, ttft=faster))
        for pair in found.golden.again
    )
    told = judged(replace(found, golden=replace(found.golden, again=again)))
    (difference,) = (one.difference for one in told.comparisons if one.figure is Figure.GOLDEN_TTFT)
    assert difference is not None
    assert difference.noise == max(faster, 1 / faster)
