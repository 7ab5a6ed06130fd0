"""`canary` of a model: what an update's first replica gets of its traffic, and what decides for the others."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from rackwright.fleet.sections.objectives import Share
from rackwright.values.amounts import Seconds
from rackwright.values.base import Frozen
from rackwright.values.paths import ControllerPath

LEAST_AT_LAST = 1
"""Per cent: conversations are told apart by one of 10,000 numbers. How many a verdict takes hangs on thresholds, so
an update tells before it begins."""


def _growing(shares: tuple[float, ...]) -> tuple[float, ...]:
    if list(shares) != sorted(set(shares)):
        raise ValueError("should grow from step to step, like [5, 25]")
    if shares[-1] < LEAST_AT_LAST:
        raise ValueError(f"ends below {LEAST_AT_LAST} per cent, which never tells enough; should end there or above")
    return shares


Percent = Annotated[float, Field(ge=0.1, le=50)]
Rise = Annotated[Share, Field(gt=0)]


class Thresholds(Frozen):
    """By how much the new version may be worse than the running one; what isn't said is built in."""

    errors: Rise | None = None
    """Share of requests by which errors may rise."""
    ttft_median: Rise | None = None
    """Of the running version's, by which the time to the first token may rise."""
    ttft_p95: Rise | None = None
    tpot_median: Rise | None = None
    """The same for the time per output token."""
    tpot_p95: Rise | None = None
    formats: Rise | None = None
    """Share of the golden set by which valid formats may fall."""
    golden: Rise | None = None
    """Share of the golden set by which passed checks may fall."""


class Canary(Frozen):
    share: Annotated[tuple[Percent, ...], Field(min_length=1, max_length=10), AfterValidator(_growing)] = (5, 25)
    """Of a hundred conversations that begin, how many go to the canary, step by step. One replica answers them."""
    min_duration: Annotated[Seconds, Field(ge=1, le=86400)] = 600
    """How long each step lasts at least."""
    min_requests: Annotated[int, Field(ge=20, le=1_000_000)] = 200
    """How many requests the canary must have had in a step before it ends."""
    max_duration: Annotated[Seconds, Field(ge=1, le=604_800)] = 7200
    """How long a step waits for what it still needs; then the update pauses."""
    golden: ControllerPath | None = None
    """The operator's questions with the answers that they should have, JSON Lines."""
    thresholds: Thresholds = Thresholds.model_construct()

    @model_validator(mode="after")
    def _can_end(self) -> Canary:
        if self.max_duration < self.min_duration:
            should = "a step must be able to end before it is given up"
            raise ValueError(f"max_duration is shorter than min_duration; {should}")
        return self
