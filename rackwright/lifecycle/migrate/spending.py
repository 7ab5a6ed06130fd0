"""What a migration has cost at the cloud so far: replays, scores and shadow rounds share one budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.asking.spent import Spent
from rackwright.migrate.shadow_result import Shadowed


@dataclass(frozen=True)
class Spending:
    """In the plan's currency. What was reserved by something that was interrupted counts as spent."""

    replays: float
    scores: float
    shadows: float

    @property
    def all(self) -> float:
        return self.replays + self.scores + self.shadows

    def but(self, step: Literal["replay", "shadow"]) -> float:
        """Return what everything else has cost."""
        return self.all - (self.replays if step == "replay" else self.shadows)


def spending(place: Place) -> Spending:
    """Return what was spent. Raise RackwrightError if a score's was in another currency than the plan's."""
    plan = place.plan
    scores = place.result("golden", Spent) or Spent(currency=plan.currency)
    if scores.currency != plan.currency:
        raise other_currency(plan.migration, f"scores have spent {scores.all:.2f} {scores.currency}", scores.currency)
    shadowed = place.result("shadow", Shadowed)
    return Spending(_all(place.result("replay", Outcome)), scores.all, _all(shadowed.outcome if shadowed else None))


def _all(outcome: Outcome | None) -> float:
    return outcome.spent + outcome.reserved if outcome else 0.0


def other_currency(migration: str, what: str, currency: str) -> RackwrightError:
    """Return the error for a plan whose currency was changed."""
    should = f"should stay {currency}: the budget is for all replays and scores"
    return RackwrightError(what, where=f"{migration} currency", should=should)
