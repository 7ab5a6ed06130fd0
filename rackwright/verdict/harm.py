"""A difference on a scale on which more is worse and distances add up: logarithms of ratios, or shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rackwright.verdict.result import Difference, Figure


@dataclass(frozen=True)
class Harm:
    """A difference as harm. `least`, from the wide interval, decides a FAIL; `most`, from the interval, a PASS."""

    seen: float
    least: float
    most: float
    allowed: float
    noise: float

    @property
    def fails(self) -> bool:
        return self.least > max(self.allowed, self.noise)

    @property
    def passes(self) -> bool:
        return self.most < self.allowed

    @property
    def is_noise(self) -> bool:
        """Whether it would fail if there were no noise floor."""
        return self.allowed < self.least <= self.noise


def harm(figure: Figure, found: Difference, threshold: float) -> Harm:
    """Convert a difference and its threshold to harm."""
    return Harm(
        seen=on_scale(figure, found.estimate),
        least=min(on_scale(figure, found.wide.low), on_scale(figure, found.wide.high)),
        most=max(on_scale(figure, found.interval.low), on_scale(figure, found.interval.high)),
        allowed=on_scale(figure, threshold),
        noise=0.0 if found.noise is None else math.log(found.noise) if figure.is_ratio else found.noise,
    )


def on_scale(figure: Figure, value: float) -> float:
    """Convert a difference to harm: 0 is no harm, and a threshold is above 0."""
    if figure.is_ratio:
        return math.log(value)
    return value if figure.rise_is_worse else -value
