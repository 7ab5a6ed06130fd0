"""Times that are similar within a conversation: few conversations are little evidence, even with many requests."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rackwright.verdict import Comparison, Difference, Figure, Request, Thresholds, Traffic, Word
from rackwright.verdict.figure import ERROR, Measured, chances
from rackwright.verdict.judge import judge
from rackwright.verdict.quantiles import interval_of, ratios, times
from rackwright.verdict.times import slower

AT = chances(6, 1)


def traffic(rng: np.random.Generator, conversations: int, each: int, slowness: float = 1.0) -> Traffic:
    """A conversation is slow or quick as a whole; its requests differ far less."""
    of = np.repeat(np.arange(conversations), each)
    found = slowness * np.exp(rng.normal(0, 0.8, conversations)[of] + rng.normal(0, 0.2, len(of)))
    return Traffic(tuple(Request(str(one), error=False, ttft=time) for one, time in zip(of, found, strict=True)))


def measured(running: Traffic, candidate: Traffic, figure: Figure) -> Measured:
    return next(one for one in slower("ttft", running, candidate, AT, 200) if one.figure is figure)


def p95(running: Traffic, candidate: Traffic) -> Comparison:
    return judge(measured(running, candidate, Figure.TTFT_P95), Thresholds())


@pytest.mark.parametrize(("conversations", "each"), [(20, 10), (40, 10), (199, 100)])
def test_many_requests_of_few_conversations_tell_no_p95(conversations, each):
    rng = np.random.default_rng(3)
    found = p95(traffic(rng, 300, each), traffic(rng, conversations, each))
    assert (found.word, found.needed) == (Word.INCONCLUSIVE, 200)
    short = f"not enough conversations with a known time of the candidate: {conversations}, at least 200 are needed"
    assert found.why == f"too little data: {short}"


@pytest.mark.parametrize("conversations", [200, 300])
def test_a_candidate_at_the_threshold_passes_no_more_often_than_is_promised(conversations):
    rng, passing, tries = np.random.default_rng(11), 0, 200
    for _ in range(tries):
        found = p95(traffic(rng, 300, 4), traffic(rng, conversations, 4, 1 + Thresholds().ttft_p95))
        passing += found.word is Word.PASS
    assert passing / tries <= ERROR


@pytest.mark.parametrize(("conversations", "student"), [(20, 2.262157), (100, 2.009575)])
def test_the_intervals_of_few_conversations_are_stretched_by_student_s_factor(conversations, student):
    """Ten conversations are beyond the median, or fifty: 9 or 49 degrees of freedom."""
    rng = np.random.default_rng(5)
    sides = [traffic(rng, count, 4) for count in (150, conversations)]
    found = measured(*sides, Figure.TTFT_MEDIAN).found
    assert isinstance(found, Difference)
    drawn = ratios(*map(_times, sides), [0.5], 200)[0]
    plain = interval_of(found.estimate, drawn, AT.plain)
    stretched = math.log(found.interval.high / found.estimate) / math.log(plain.high / found.estimate)
    assert stretched == pytest.approx(student / 1.959964, abs=1e-5)


def _times(side: Traffic):
    return times([one.ttft or 0.0 for one in side.requests], [one.conversation for one in side.requests])
