"""How often a verdict is wrong, over pairs of versions whose truth is known.

A small sample with recorded seeds and few resamples. benchmarks/verdict.py has a thousand pairs of each kind and all
resamples.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from rackwright.verdict import Thresholds, Word, decide
from tests.verdict.simulated import AT_EDGE, EDGE, EQUAL, USUAL, Size, Version, evidence

LITTLE = Size(running=90, candidate=70, prompts=60)
"""So little that noise has its say: two hundred requests of the candidate."""
MORE = Size(running=150, candidate=100, prompts=100)
RESAMPLES = 400


def words(
    seed: int, count: int, candidate: Version, size: Size, thresholds: Thresholds | None = None
) -> Counter[Word]:
    rng = np.random.default_rng(seed)
    pairs = (evidence(rng, candidate, size=size) for _ in range(count))
    return Counter(decide(pair, thresholds, resamples=RESAMPLES).word for pair in pairs)


def test_of_equal_candidates_at_most_one_in_twenty_fails():
    assert words(1, 60, EQUAL, LITTLE)[Word.FAIL] <= 3


def test_of_candidates_at_every_threshold_at_once_at_most_one_in_twenty_fails():
    # Without Bonferroni one in ten does.
    assert words(2, 100, EDGE, LITTLE, AT_EDGE)[Word.FAIL] <= 5


def test_candidates_that_are_twice_as_slow_fail():
    assert words(3, 40, Version(slowness=2), MORE)[Word.FAIL] >= 39


def test_candidates_that_lack_layers_fail():
    # A fifth of the layers cut cost 82 of 100 points, measured on a real model.
    assert words(3, 40, Version(score=0.04, formats=0.5), MORE)[Word.FAIL] >= 39


def test_candidates_a_little_worse_than_allowed_never_pass():
    worse = Version(slowness=1.4, errors=0.03, score=0.76, formats=0.9)
    assert words(4, 30, worse, USUAL)[Word.PASS] == 0
