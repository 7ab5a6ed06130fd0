"""What the golden set tells: checks passed, formats valid and times, prompt by prompt."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Literal

from rackwright.verdict.inputs import Answer, GoldenAnswers, Pair
from rackwright.verdict.measured import Chances, Measured, TooLittle
from rackwright.verdict.proportions import PairedShares, Share, paired_difference
from rackwright.verdict.quantiles import median_interval
from rackwright.verdict.result import Difference, Figure, Side

LEAST = 20
"""Prompts: fewer tell too little of those that weren't asked."""


def score(golden: GoldenAnswers, at: Chances) -> Measured:
    """Return by how much the share of passed checks changed."""
    return _changed(Figure.GOLDEN, golden, lambda answer: answer.passed, at)


def formats(golden: GoldenAnswers, at: Chances) -> Measured:
    """Return by how much the share of valid formats changed, of the prompts that ask for one."""
    return _changed(Figure.FORMATS, golden, lambda answer: answer.valid, at)


def has_formats(golden: GoldenAnswers) -> bool:
    return any(pair.running.valid is not None and pair.candidate.valid is not None for pair in golden.pairs)


def slower(figure: Figure, name: Literal["ttft", "tpot"], golden: GoldenAnswers, at: Chances) -> Measured:
    """Return how many times as long the candidate takes for the same prompt, by the median of prompts."""
    found, again = _times(golden.pairs, name), _times(golden.again, name)
    running, candidate = (_typical(side) for side in zip(*found, strict=True)) if found else (_typical(()),) * 2
    ratios = [other / one for one, other in found]
    plain, wide = (
        median_interval(ratios, chance) if len(ratios) >= LEAST else None for chance in (at.plain, at.wide)
    )
    if plain is None or wide is None:
        return Measured(figure, running, candidate, _too_little(len(found), "prompts with known times"))
    noise = _apart(statistics.median(other / one for one, other in again)) if again else None
    return Measured(figure, running, candidate, Difference(statistics.median(ratios), plain, wide, noise))


def has_times(name: Literal["ttft", "tpot"], golden: GoldenAnswers) -> bool:
    return bool(_times(golden.pairs, name))


def _apart(ratio: float) -> float:
    return max(ratio, 1 / ratio)


def _typical(times: Sequence[float]) -> Side:
    return Side(len(times), len(times), statistics.median(times) if times else None)


def _times(pairs: Sequence[Pair], name: str) -> list[tuple[float, float]]:
    """Return running's and candidate's time of each prompt of which both are known."""
    both = [(getattr(pair.running, name), getattr(pair.candidate, name)) for pair in pairs]
    return [(one, other) for one, other in both if one and other]


def _changed(figure: Figure, golden: GoldenAnswers, hit: Callable[[Answer], bool | None], at: Chances) -> Measured:
    found, again = _table(golden.pairs, hit), _table(golden.again, hit)
    count = found.tries
    running, candidate = (_side(share) for share in (found.first, found.second))
    if count < LEAST:
        return Measured(figure, running, candidate, _too_little(count, "prompts"))
    difference = Difference(
        estimate=found.second.value - found.first.value,
        interval=paired_difference(found, at.plain_z),
        wide=paired_difference(found, at.wide_z),
        noise=abs(again.second.value - again.first.value) if again.tries else None,
    )
    return Measured(figure, running, candidate, difference)


def _side(share: Share) -> Side:
    count = int(share.tries)
    return Side(count, count, share.value if count else None)


def _too_little(count: int, what: str) -> TooLittle:
    return TooLittle(f"there are {count} {what} of the {LEAST} that it takes", LEAST)


def _table(pairs: Sequence[Pair], hit: Callable[[Answer], bool | None]) -> PairedShares:
    both = [(hit(pair.running), hit(pair.candidate)) for pair in pairs]
    known = [(one, other) for one, other in both if one is not None and other is not None]
    return PairedShares(*(known.count(cell) for cell in ((True, True), (True, False), (False, True), (False, False))))
