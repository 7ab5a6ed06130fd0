"""`cutover` of a migration plan: how the fleet's share of new conversations grows."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from rackwright.fleet.sections.canary import Thresholds
from rackwright.values.amounts import Seconds
from rackwright.values.base import Frozen
from rackwright.values.text import ServedName


def _growing(shares: tuple[float, ...]) -> tuple[float, ...]:
    if list(shares) != sorted(set(shares)):
        raise ValueError("should increase from step to step, like [1, 5, 25, 50, 100]")
    if shares[-1] != WHOLE:
        raise ValueError(f"ends at {shares[-1]:g}; should end at 100")
    return shares


WHOLE = 100.0
"""Percent."""
Share = Annotated[float, Field(ge=0.1, le=100)]


class FallbackRules(Frozen):
    """Which requests that no replica takes the cloud may answer, and for how much."""

    cost_per_hour: Annotated[float, Field(gt=0, le=1e9)]
    """What the cloud may charge for them in a clock hour, in the plan's `currency`."""
    models: Annotated[tuple[ServedName, ...], Field(min_length=1)] | None = None
    """The provider's models for which it is allowed; all of the plan's if absent."""


class Cutover(Frozen):
    """How the fleet's share of new conversations grows."""

    share: Annotated[tuple[Share, ...], Field(min_length=2, max_length=20), AfterValidator(_growing)] = (
        1,
        5,
        25,
        50,
        100,
    )
    """Percent of new conversations that the fleet gets in each step; the cloud gets the others."""
    min_duration: Annotated[Seconds, Field(ge=1, le=2_592_000)] = 86_400
    """The shortest duration of each step."""
    min_requests: Annotated[int, Field(ge=20, le=1_000_000)] = 200
    """The number of requests that the fleet must have had in a step before the step ends."""
    max_duration: Annotated[Seconds, Field(ge=1, le=7_776_000)] = 604_800
    """The longest duration of a step; if there is still no clear verdict then, the cutover pauses."""
    conversation: Annotated[Seconds, Field(ge=1, le=86_400)] = 7200
    """How long after its last request a conversation may go on. For so long, conversations from before the cutover
    stay with the cloud, and after the last step no longer."""
    thresholds: Thresholds = Thresholds.model_construct()
    """By how much the fleet may be worse than the cloud."""

    fallback: FallbackRules | None = None
    """If no replica takes a request, the cloud answers it. If absent, it never does."""

    @model_validator(mode="after")
    def _can_end(self) -> Cutover:
        if self.max_duration < self.min_duration:
            raise ValueError("max_duration is shorter than min_duration; should be at least min_duration")
        return self
