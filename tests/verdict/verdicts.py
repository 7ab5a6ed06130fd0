"""One verdict with every possible word, written manually: an input for reports."""

from __future__ import annotations

from rackwright.verdict import Comparison, Difference, Figure, Interval, Side, Verdict, Word

PASSED = Comparison(
    figure=Figure.GOLDEN,
    word=Word.PASS,
    why="it does",
    running=Side(250, 250, 0.86),
    candidate=Side(250, 250, 0.852),
    threshold=-0.05,
    difference=Difference(-0.008, Interval(-0.04, 0.024), Interval(-0.06, 0.04), 0.004),
)
FAILED = Comparison(
    figure=Figure.TTFT_MEDIAN,
    word=Word.FAIL,
    why="it is slow",
    running=Side(1200, 400, 0.296),
    candidate=Side(396, 130, 0.57),
    threshold=1.25,
    difference=Difference(1.93, Interval(1.6, 2.3), Interval(1.5, 2.5), 1.03),
)
UNKNOWN = Comparison(
    figure=Figure.TPOT_P95,
    word=Word.INCONCLUSIVE,
    why="too little data",
    running=Side(1200, 400, 0.0482),
    candidate=Side(0, 0, None),
    threshold=1.5,
    difference=None,
    needed=200,
)
VERDICT = Verdict(
    word=Word.FAIL,
    why="median time to first token is too bad: it is slow",
    comparisons=(FAILED, UNKNOWN, PASSED),
    chance=0.95,
    wide_chance=1 - 0.05 / 3,
    not_compared=("valid formats: no check asks for one",),
    golden_digest="0" * 64,
)
