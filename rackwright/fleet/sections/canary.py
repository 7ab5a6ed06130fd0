"""`canary` of a model: the first updated replica gets a share of the traffic, and its results decide on the rest."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from rackwright.fleet.sections.objectives import Share
from rackwright.values.amounts import Seconds
from rackwright.values.base import Frozen
from rackwright.values.paths import ControllerPath

LEAST_AT_LAST = 1
"""Percent. Conversations are assigned to one of 1,000,000 numbers. How many requests a verdict needs depends on the
thresholds, so an update checks this before it starts."""


def _growing(shares: tuple[float, ...]) -> tuple[float, ...]:
    if list(shares) != sorted(set(shares)):
        raise ValueError("should increase from step to step, like [5, 25]")
    if shares[-1] < LEAST_AT_LAST:
        raise ValueError(
            f"ends below {LEAST_AT_LAST} percent, too little for a verdict; should end at {LEAST_AT_LAST} or more"
        )
    return shares


Percent = Annotated[float, Field(ge=0.1, le=50)]
Rise = Annotated[Share, Field(gt=0)]


class Thresholds(Frozen):
    """By how much the new version may be worse than the running one; absent keys have built-in thresholds."""

    errors: Rise | None = None
    """The permitted rise of errors, as a share of requests."""
    ttft_median: Rise | None = None
    """The permitted rise of the median time to the first token, as a share of the running version's."""
    ttft_p95: Rise | None = None
    tpot_median: Rise | None = None
    """The permitted rise of the median time per output token, as a share of the running version's."""
    tpot_p95: Rise | None = None
    formats: Rise | None = None
    """The permitted fall of answers with a valid format, as a share of the prompts that ask for one."""
    golden: Rise | None = None
    """The permitted fall of passed checks, as a share of the golden set."""


class Canary(Frozen):
    share: Annotated[tuple[Percent, ...], Field(min_length=1, max_length=10), AfterValidator(_growing)] = (5, 25)
    """Percent of new conversations that go to the canary, in each step. One replica answers them."""
    min_duration: Annotated[Seconds, Field(ge=1, le=86400)] = 600
    """The shortest duration of each step."""
    min_requests: Annotated[int, Field(ge=20, le=1_000_000)] = 200
    """The number of requests that the canary must have had in a step before the step ends."""
    max_duration: Annotated[Seconds, Field(ge=1, le=604_800)] = 7200
    """The longest duration of a step; if it still lacks data then, the update pauses."""
    golden: ControllerPath | None = None
    """The golden set: your own prompts with checks for their answers, as a file of JSON lines."""
    thresholds: Thresholds = Thresholds.model_construct()

    @model_validator(mode="after")
    def _can_end(self) -> Canary:
        if self.max_duration < self.min_duration:
            raise ValueError("max_duration is shorter than min_duration; should be at least min_duration")
        return self
