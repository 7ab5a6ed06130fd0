"""`prices` and `costs` of a migration plan. Every figure is the operator's; rackwright knows no price."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from rackwright.values.base import Frozen

Amount = Annotated[float, Field(ge=0, le=1e12)]
"""In the plan's currency."""


class Price(Frozen):
    """What one of the provider's models costs, per million tokens."""

    input: Amount
    output: Amount
    cached_input: Amount | None = None
    """Of prompt tokens that the provider had in its cache; `input` if absent."""

    def of(self, prompt: int, answer: int, cached: int = 0) -> Decimal:
        """Return the amount for these tokens; `cached`: tokens of the prompt that the provider had in its cache."""
        known = min(cached, prompt)
        each = self.input if self.cached_input is None else self.cached_input
        parts = ((self.input, prompt - known), (each, known), (self.output, answer))
        return sum((Decimal(str(one)) * count for one, count in parts), Decimal(0)) / 1_000_000


class Costs(Frozen):
    """What the fleet costs."""

    capital: Amount
    """Hardware, all of it."""
    months: Annotated[int, Field(ge=1, le=240)] = 36
    """Over how many months the hardware is written off."""
    kilowatts: Amount
    """Mean power of the fleet, cooling included."""
    kilowatt_hour: Amount
    """Price of one."""
    staff: Amount
    """Per month."""
    hosting: Amount = 0
    """Per month."""
