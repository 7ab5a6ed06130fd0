"""A measured difference held against its threshold and the noise floor."""

from __future__ import annotations

from rackwright.verdict import reasons
from rackwright.verdict.figure import Measured, TooLittle
from rackwright.verdict.harm import harm
from rackwright.verdict.needed import how_many
from rackwright.verdict.result import Comparison, Figure, Word
from rackwright.verdict.thresholds import Thresholds

_FIELDS = {Figure.GOLDEN_TTFT: "ttft_median", Figure.GOLDEN_TPOT: "tpot_median"}
"""Figures whose threshold is another one's."""


def threshold_of(figure: Figure, thresholds: Thresholds) -> float:
    """Return the difference that is just still allowed, in the measure of a comparison: 1.25, 0.01 or -0.05."""
    allowed: float = getattr(thresholds, _FIELDS.get(figure, figure.name.lower()))
    if figure.is_ratio:
        return 1 + allowed
    return allowed if figure.rise_is_worse else -allowed


def judge(measured: Measured, thresholds: Thresholds) -> Comparison:
    """Return what came of one comparison.

    FAIL where the whole wide interval lies beyond the threshold and the noise floor; PASS where the whole interval
    lies within the threshold; INCONCLUSIVE else.
    """
    figure, found = measured.figure, measured.found
    threshold, needed = threshold_of(figure, thresholds), None
    if isinstance(found, TooLittle):
        word, why, needed = Word.INCONCLUSIVE, f"too little is known: {found.why}", found.needed
    else:
        judged = harm(figure, found, threshold)
        if judged.fails:
            word, why = Word.FAIL, reasons.fails(figure, found, threshold)
        elif judged.passes:
            word, why = Word.PASS, reasons.passes(figure, found, threshold)
        elif judged.is_noise:
            word, why = Word.INCONCLUSIVE, reasons.is_noise(figure, found, threshold)
        else:
            count, needed = measured.candidate.clusters, how_many(measured, found, threshold)
            between = found.interval if judged.seen < judged.allowed else found.wide
            word, why = Word.INCONCLUSIVE, reasons.is_open(figure, found, threshold, between, count, needed)
    difference = None if isinstance(found, TooLittle) else found
    return Comparison(figure, word, why, measured.running, measured.candidate, threshold, difference, needed)
