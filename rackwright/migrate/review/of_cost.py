"""The costs that were computed before the cutover, against those of the traffic that there is now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from rackwright.migrate.cost.comparison import Costed
from rackwright.migrate.features.summary import Tokens
from rackwright.migrate.plan.prices import Price
from rackwright.migrate.review.hourly import Hour, Hours, in_words
from rackwright.migrate.review.promises import Finding, State

LEAST_HOURS = 24
"""Fewer whole hours say nothing about a month: traffic depends on the time of day."""
LEAST = 20
"""Requests whose tokens must be known before their mean counts for others."""
_MONTH = Decimal("730.5")
"""Hours."""

_OF = ("the cloud for the same traffic", "what the cloud still gets", "saved")


@dataclass(frozen=True)
class Rates:
    """What requests cost at the provider."""

    prices: Mapping[str, Price]
    recorded: Mapping[str, Tokens] = field(default_factory=dict)
    """The provider's model → tokens of recorded requests: taken for streams, because gateways don't count theirs."""


@dataclass(frozen=True)
class Charged:
    """What the provider charges, or would charge, per month."""

    fleet: Decimal
    """For what the fleet answers."""
    cloud: Decimal
    """For what the cloud answers."""
    why: str


def charged(rates: Rates, hours: Hours, since: float) -> Charged | str:
    """Return what the traffic of the whole hours since this time costs at the provider, scaled to a month; else why
    it can't be said."""
    numbers = hours.whole(since)
    if len(numbers) < LEAST_HOURS:
        return f"since the last step, {in_words(numbers)} are over; at least {LEAST_HOURS} are needed"
    rows = hours.within(numbers)
    if not any(row.answered for row in rows):
        return f"no request was answered in {in_words(numbers)}"
    each = {name: _mean(name, rates, rows) for name in rates.prices}
    unknown = sorted(row.name for row in rows if row.answered > row.counted and each.get(row.name) is None)
    if unknown:
        return f"the tokens of requests for {unknown[0]} aren't known: gateways don't count those of streams"
    sums = {side: Decimal(0) for side in ("fleet", "cloud")}
    for row in rows:
        # Whatever the fleet doesn't answer, the provider charges.
        side = "fleet" if row.side == "fleet" else "cloud"
        mean = each.get(row.name) or Decimal(0)
        counted_cost = rates.prices[row.name].of(row.prompt, row.completion)
        sums[side] += counted_cost + mean * (row.answered - row.counted)
    scale = _MONTH / len(numbers)
    return Charged(sums["fleet"] * scale, sums["cloud"] * scale, _why(rows, in_words(numbers)))


def _mean(name: str, rates: Rates, rows: Iterable[Hour]) -> Decimal | None:
    """Return what a request costs whose tokens weren't counted: the mean of the recorded ones, else of those that the
    gateways counted; None: there are too few."""
    price, known = rates.prices[name], rates.recorded.get(name, Tokens())
    if known.known_requests >= LEAST:
        return price.of(known.prompt, known.completion) / known.known_requests
    own = [row for row in rows if row.name == name]
    requests = sum(row.counted for row in own)
    if requests < LEAST:
        return None
    return price.of(sum(row.prompt for row in own), sum(row.completion for row in own)) / requests


def _why(rows: Iterable[Hour], hours: str) -> str:
    found = list(rows)
    answered, known = sum(row.answered for row in found), sum(row.counted for row in found)
    means = "" if known == answered else f", of {answered - known:,} taken as the mean of the model's known ones"
    return f"{answered:,} answers in {hours}: tokens of {known:,} counted{means}; scaled to a month"


def of_cost(promised: Costed, fleet: float, found: Charged | str, share: float, whole: bool) -> tuple[Finding, ...]:
    """Return the findings. `fleet`: what it costs per month by the plan now; `whole`: whether the cutover is over."""
    left = promised.bill * (1 - share / 100)
    now = Finding(
        promise="cost",
        of="the fleet",
        unit="a month",
        promised=promised.fleet,
        measured=fleet,
        state="no limit",
        why="by costs in the plan",
    )
    named = dict(zip(_OF, (promised.bill, left, promised.case.saved), strict=True))
    blank = {
        of: now.model_copy(update={"of": of, "promised": value, "measured": None, "why": str(found)})
        for of, value in named.items()
    }
    if isinstance(found, str):
        update = {"state": "not measured", "next": "the same command later"}
        return (now, *(one.model_copy(update=update) for one in blank.values()))
    would, still = float(found.fleet + found.cloud), float(found.cloud)
    values = zip(_OF, (would, still, would - still - fleet), strict=True)
    same, left_over, saved = (
        blank[of].model_copy(update={"measured": value, "why": found.why}) for of, value in values
    )
    return now, same, left_over, _saved(saved, whole)


def _saved(found: Finding, whole: bool) -> Finding:
    """Only a promise that the fleet costs less can be broken, and only once the cloud has no share any more."""
    if (found.promised or 0) < 0 or found.measured is None:
        return found
    state: State = "kept" if found.measured >= 0 else "broken" if whole else "open"
    why = found.why if state != "open" else f"{found.why}; the cloud still has a share"
    next_ = "" if state == "kept" else "see whether the traffic or the plan's costs have changed"
    return found.model_copy(update={"limit": 0.0, "state": state, "why": why, "next": next_})
