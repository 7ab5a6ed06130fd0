"""The fleet's costs against the bill: per month, and from which month on the fleet has cost less in total."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from rackwright.migrate.capacity.lengths import Basis
from rackwright.migrate.cost.bill import COMPUTED, Bill, Source
from rackwright.migrate.plan.prices import Costs
from rackwright.values.base import Stored

VARIED = (-20, 0, 20)
"""Percent by which bill and costs are varied."""
_HOURS = Decimal("730.5")
"""Of a month: 365.25 days of 24 hours, by 12."""
_MOST_MONTHS = 600


class Case(Stored):
    """One combination of a bill and costs that may be off by some percent."""

    bill_percent: int
    costs_percent: int
    saved: float
    """Per month, with the hardware written off; negative: the fleet costs more."""
    break_even: int | None
    """Months until all that the fleet has cost, its hardware included, is less than the bills. None: never."""


class Costed(Stored):
    """The result, in the plan's currency."""

    format: Literal["migration-cost/1"] = "migration-cost/1"
    currency: str
    source: Source
    computed: bool
    """Whether the bill was computed from tokens and the plan's prices, instead of read from the provider's."""
    sampled: float = 100.0
    """Percent of clients' requests from which the bill was computed; it was scaled to all of them."""
    answers: Mapping[Basis, int] = {}
    """If the bill was computed from recorded requests: what the lengths of answers are based on → how many."""
    months: Mapping[str, float]
    """Of the bill."""
    covered: int
    """Days of the bill."""
    bill: float
    """Of a mean month."""
    capital: float
    written_off: int
    """Months."""
    hardware: float
    """Per month; the same for the next three."""
    power: float
    staff: float
    hosting: float
    cases: tuple[Case, ...]

    @property
    def running(self) -> float:
        """Costs of the fleet per month without its hardware."""
        return self.power + self.staff + self.hosting

    @property
    def fleet(self) -> float:
        """Costs of the fleet per month."""
        return self.hardware + self.running

    @property
    def case(self) -> Case:
        """The one without variation."""
        return next(case for case in self.cases if case.bill_percent == case.costs_percent == 0)


def compare(bill: Bill, costs: Costs, currency: str, sampled: float = 100.0) -> Costed:
    """Return the comparison. `sampled`: percent of clients' requests from which the bill was computed."""
    monthly = bill.monthly
    capital, staff, hosting = (Decimal(str(one)) for one in (costs.capital, costs.staff, costs.hosting))
    power = Decimal(str(costs.kilowatts)) * _HOURS * Decimal(str(costs.kilowatt_hour))
    hardware, running = capital / costs.months, power + staff + hosting
    return Costed(
        currency=currency,
        source=bill.source,
        computed=bill.source in COMPUTED,
        sampled=sampled,
        answers=bill.answers,
        months={month: _cents(amount) for month, amount in bill.months.items()},
        covered=bill.covered,
        bill=_cents(monthly),
        capital=_cents(capital),
        written_off=costs.months,
        hardware=_cents(hardware),
        power=_cents(power),
        staff=_cents(staff),
        hosting=_cents(hosting),
        cases=tuple(_case(monthly, capital, hardware, running, one, other) for one in VARIED for other in VARIED),
    )


def _case(
    bill: Decimal, capital: Decimal, hardware: Decimal, running: Decimal, bill_percent: int, costs_percent: int
) -> Case:
    more, times = Decimal(100 + bill_percent) / 100, Decimal(100 + costs_percent) / 100
    return Case(
        bill_percent=bill_percent,
        costs_percent=costs_percent,
        saved=_cents(bill * more - (hardware + running) * times),
        break_even=break_even(bill * more, capital * times, running * times),
    )


def break_even(bill: Decimal, capital: Decimal, running: Decimal) -> int | None:
    """Return after how many whole months capital and running costs are no more than the bills; None: never, or not
    within 50 years."""
    if bill <= running:
        return 0 if bill == running and not capital else None
    months = math.ceil(capital / (bill - running))
    return months if months <= _MOST_MONTHS else None


def cumulated(found: Costed, months: int) -> tuple[tuple[int, float, float], ...]:
    """Return for each month from 0: its number, all bills until then, all costs of the fleet until then."""
    return tuple((n, _sum(found.bill * n), _sum(found.capital + found.running * n)) for n in range(months + 1))


def _sum(amount: float) -> float:
    return round(amount, 2)


def _cents(amount: Decimal) -> float:
    return float(round(amount, 2))
