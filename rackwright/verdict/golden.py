"""Compare both versions' answers to the golden set, prompt by prompt: checks, formats and times."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Literal

from rackwright.fleet.golden.golden_set import LEAST
from rackwright.verdict.figure import Chances, Measured, TooLittle
from rackwright.verdict.inputs import Answer, GoldenAnswers, Pair
from rackwright.verdict.paired import changed, is_blind
from rackwright.verdict.proportions import PairedShares, Share
from rackwright.verdict.quantiles import median_interval
from rackwright.verdict.result import Difference, Figure, Side


def score(golden: GoldenAnswers, at: Chances, allowed: float) -> Measured:
    """Measure by how much the share of passed checks has changed; `allowed`: the largest allowed fall."""
    return _changed(Figure.GOLDEN, golden, _passed, at, allowed)


def formats(golden: GoldenAnswers, at: Chances, allowed: float) -> Measured:
    """Measure by how much the share of valid formats has changed, among the prompts that ask for one."""
    return _changed(Figure.FORMATS, golden, _valid, at, allowed)


def with_format(golden: GoldenAnswers) -> int:
    """Return how many prompts ask for a format."""
    return _table(golden.pairs, _valid).tries


def slower(figure: Figure, name: Literal["ttft", "tpot"], golden: GoldenAnswers, at: Chances) -> Measured:
    """Measure how many times as long the candidate takes for the same prompt (median over prompts)."""
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
    """Return the running version's and the candidate's time for each prompt for which both are known."""
    both = [(getattr(pair.running, name), getattr(pair.candidate, name)) for pair in pairs]
    return [(one, other) for one, other in both if one and other]


def _passed(answer: Answer) -> bool:
    return answer.passed


def _valid(answer: Answer) -> bool | None:
    return answer.valid


def _changed(
    figure: Figure, golden: GoldenAnswers, hit: Callable[[Answer], bool | None], at: Chances, allowed: float
) -> Measured:
    found, again = _table(golden.pairs, hit), _table(golden.again, hit)
    count = found.tries
    running, candidate = (_side(share) for share in (found.first, found.second))
    if count < LEAST:
        return Measured(figure, running, candidate, _too_little(count, "prompts"))
    if is_blind(found.first, at, allowed):
        return Measured(figure, running, candidate, TooLittle(_blind(figure, found.first, allowed)))
    noise = abs(again.second.value - again.first.value) if again.tries else None
    return Measured(figure, running, candidate, changed(found, at, noise))


def _blind(figure: Figure, running: Share, allowed: float) -> str:
    are = "have a valid format" if figure is Figure.FORMATS else "pass"
    return (
        f"only {running.hits:g} of the running version's {running.tries:g} answers {are}: even if the candidate lost "
        f"all of them, that wouldn't surely be beyond {allowed * 100:g} points, so nothing can be concluded"
    )


def _side(share: Share) -> Side:
    count = int(share.tries)
    return Side(count, count, share.value if count else None)


def _too_little(count: int, what: str) -> TooLittle:
    return TooLittle(f"there are {count} {what}, at least {LEAST} are needed", LEAST)


def _table(pairs: Sequence[Pair], hit: Callable[[Answer], bool | None]) -> PairedShares:
    both = [(hit(pair.running), hit(pair.candidate)) for pair in pairs]
    known = [(one, other) for one, other in both if one is not None and other is not None]
    return PairedShares(*(known.count(cell) for cell in ((True, True), (True, False), (False, True), (False, False))))
