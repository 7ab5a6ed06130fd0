"""The load that the replicas were measured for, against the busiest hour of the fleet's side."""

from __future__ import annotations

from datetime import UTC, datetime

from rackwright.migrate.capacity.result import ModelCapacity
from rackwright.migrate.review.hourly import HOUR, Hours, busiest, in_words
from rackwright.migrate.review.promises import Finding


def of_capacity(promised: ModelCapacity, share: float, replicas: int, hours: Hours, since: float) -> Finding:
    """Return whether the model's replicas carry the busiest whole hour since this time, with headroom.

    `share`: percent of new conversations that the fleet gets; `replicas`: in the fleet file now.
    """
    expected, limit = _peak(promised) * share / 100, _carried(promised, replicas)
    known = Finding(
        promise="capacity",
        of=promised.model,
        unit="requests/s",
        promised=expected,
        limit=limit,
        state="not measured",
        why="no whole hour has passed since the cutover began",
        next="the same command in an hour",
    )
    numbers = hours.whole(since)
    if not numbers:
        return known
    number, requests = busiest(hours.within(numbers), promised.instead_of)
    if not requests:
        return known.model_copy(update={"why": f"no client asked the fleet in {in_words(numbers)}"})
    rate = requests / HOUR
    why = f"the busiest of {in_words(numbers)}, {requests:,} requests from {_stamp(number)} on"
    if limit is None:
        state, why, next_ = "open", f"{why}; no rate was good when it was measured", ""
    elif rate <= limit:
        state, next_ = "kept", ""
    else:
        state, next_ = "broken", f"add replicas of {promised.model}, then rackwright apply"
    return known.model_copy(update={"measured": rate, "state": state, "why": why, "next": next_})


def _peak(promised: ModelCapacity) -> float:
    """Return what was expected of the busiest hour, or of a shorter time if no whole hour was recorded."""
    return promised.extrapolated.peaks.get(str(HOUR), promised.extrapolated.peak)


def _carried(promised: ModelCapacity, replicas: int) -> float | None:
    """Return the rate for which these replicas have headroom, while the spare ones are down; None: not known."""
    goodput, rules = promised.measured.goodput, promised.extrapolated
    busy = max(replicas - rules.spare, 0)
    return goodput * busy * (1 - rules.headroom / 100) if goodput else None


def _stamp(number: int) -> str:
    return f"{datetime.fromtimestamp(number * HOUR, UTC):%Y-%m-%dT%H:%MZ}"
