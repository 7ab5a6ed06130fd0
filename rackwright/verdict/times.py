"""Compare quantiles of the times that clients see, with conversations as the samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from rackwright.verdict.conversations import too_few
from rackwright.verdict.figure import Chances, Measured, TooLittle
from rackwright.verdict.inputs import Request, Traffic
from rackwright.verdict.quantiles import Times, interval_of, quantile, ratios, students_z, times
from rackwright.verdict.result import Difference, Figure, Side

if TYPE_CHECKING:
    from rackwright.verdict.quantiles import Floats

Name = Literal["ttft", "tpot"]
FIGURES: dict[Name, dict[Figure, float]] = {
    "ttft": {Figure.TTFT_MEDIAN: 0.5, Figure.TTFT_P95: 0.95},
    "tpot": {Figure.TPOT_MEDIAN: 0.5, Figure.TPOT_P95: 0.95},
}
"""Each figure of a time and its quantile."""
BEYOND = 10
"""Conversations of each side that must be beyond a quantile, if all times of a conversation are equal: a median needs
20 conversations, a p95 200."""
_SHORTEST = 1e-6
"""Seconds used instead of 0, because the access log has whole milliseconds."""


def slower(name: Name, running: Traffic, candidate: Traffic, at: Chances, resamples: int) -> Iterator[Measured]:
    """Measure how many times as long the candidate's quantiles of this time are."""
    first, second = _times(running.requests, name), _times(candidate.requests, name)
    short = {share: _short(share, first, second) for share in FIGURES[name].values()}
    whole = [share for share in short if not short[share]]
    drawn = dict(zip(whole, ratios(first, second, whole, resamples), strict=True)) if whole else {}
    for figure, share in FIGURES[name].items():
        found = short[share] or _difference(first, second, share, drawn[share], at, _noise(first, share))
        yield Measured(figure, _side(first, share), _side(second, share), found)


def _difference(first: Times, second: Times, share: float, drawn: Floats, at: Chances, noise: float) -> Difference:
    estimate, tails = quantile(second, share) / quantile(first, share), _beyond(first, second, share)
    plain, wide = (
        interval_of(estimate, drawn, at.plain, widened=students_z(chance, tails - 1) / at.plain_z)
        for chance in (at.plain, at.wide)
    )
    return Difference(estimate, plain, wide, noise)


def _beyond(first: Times, second: Times, share: float) -> float:
    """Return how many conversations are beyond the quantile, if all times of a conversation are equal. All that
    resamples show about a quantile's variation comes from these."""
    return min(first.conversations, second.conversations) * (1 - share)


def has(name: Name, *sides: Traffic) -> bool:
    """Return whether this time is known for any request."""
    return any(getattr(request, name) is not None for side in sides for request in side.requests)


def _times(requests: Sequence[Request], name: Name) -> Times:
    known: list[tuple[float | None, str]]
    known = [(getattr(request, name), request.conversation) for request in requests if not request.error]
    found = [(max(value, _SHORTEST), conversation) for value, conversation in known if value is not None]
    return times([value for value, _ in found], [conversation for _, conversation in found])


def _side(found: Times, share: float) -> Side:
    count = len(found.values)
    return Side(count, found.conversations, quantile(found, share) if count else None)


def fewest() -> int:
    """Return the lowest number of conversations for a PASS."""
    return max(_least(share) for share in FIGURES["ttft"].values())


def _least(share: float) -> int:
    return math.ceil(BEYOND / (1 - share) - 1e-9)


def _short(share: float, first: Times, second: Times) -> TooLittle | None:
    least = _least(share)
    why = too_few(first.conversations, second.conversations, least, "conversations with a known time")
    return TooLittle(why, least) if why else None


def _noise(running: Times, share: float) -> float:
    """Return the ratio between the quantiles of two halves of the running version's conversations, at least 1."""
    one, other = (quantile(half, share) for half in running.halves())
    return max(one / other, other / one)
