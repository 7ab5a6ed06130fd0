"""Compare a measured difference with its threshold and the noise floor."""

from __future__ import annotations

from rackwright.verdict import reasons
from rackwright.verdict.figure import Measured, TooLittle
from rackwright.verdict.harm import harm
from rackwright.verdict.needed import how_many
from rackwright.verdict.result import Comparison, Figure, Word
from rackwright.verdict.thresholds import Thresholds

_FIELDS = {Figure.GOLDEN_TTFT: "ttft_median", Figure.GOLDEN_TPOT: "tpot_median"}
"""Figures that use another figure's threshold."""


def threshold_of(figure: Figure, thresholds: Thresholds) -> float:
    """Return the largest allowed difference in the unit of the comparison, like 1.25, 0.01 or -0.05."""
    allowed: float = getattr(thresholds, _FIELDS.get(figure, figure.name.lower()))
    if figure.is_ratio:
        return 1 + allowed
    return allowed if figure.rise_is_worse else -allowed


def judge(measured: Measured, thresholds: Thresholds) -> Comparison:
    """Judge one comparison.

    FAIL if the whole wide interval is beyond the threshold and the noise floor; PASS if the whole interval is within
    the threshold; in all other cases INCONCLUSIVE.
    """
    figure, found = measured.figure, measured.found
    threshold, needed = threshold_of(figure, thresholds), None
    if isinstance(found, TooLittle):
        word, why, needed = Word.INCONCLUSIVE, f"too little data: {found.why}", found.needed
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
