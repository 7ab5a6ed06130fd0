"""What the provider charged, by month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from rackwright.migrate.capacity.lengths import Basis

Source = Literal["openai costs", "openai usage", "csv", "recorded tokens"]
"""OpenAI's costs or usage API as JSON, a CSV with amounts, or recorded requests with the plan's prices."""
COMPUTED: tuple[Source, ...] = ("openai usage", "recorded tokens")
"""From tokens and the plan's prices; the provider may have charged another amount."""


@dataclass(frozen=True)
class Bill:
    source: Source
    months: Mapping[str, Decimal]
    """Month, like 2026-11 → amount in the plan's currency."""
    days: Mapping[str, int]
    """Month → days of it that the bill covers."""
    answers: Mapping[Basis, int] = field(default_factory=dict)
    """If computed from recorded requests: what the lengths of answers are based on → how many."""

    @property
    def total(self) -> Decimal:
        return sum(self.months.values(), Decimal(0))

    @property
    def covered(self) -> int:
        """Days."""
        return sum(self.days.values())

    @property
    def monthly(self) -> Decimal:
        """Return the mean of a month of 365.25 / 12 days."""
        return self.total / self.covered * Decimal("30.4375") if self.covered else Decimal(0)
