"""What asking the cloud the golden set costs: noted before, as the most it may be, and after, as what it was."""

from __future__ import annotations

from dataclasses import dataclass, field

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.spending import spending
from rackwright.migrate.asking.spent import Spent


@dataclass
class GoldenCost:
    """Keeps replays and scores together within `replay.budget`, also if a score is killed."""

    place: Place
    _before: float = field(default=0.0, init=False)

    def left(self) -> float:
        """Return what is left of the budget."""
        return self.place.plan.replay.budget - spending(self.place).all

    def reserve(self, most: float, prompts: int) -> None:
        """Note the most that it may cost. Raise RackwrightError if the budget doesn't cover it."""
        self.require(most)
        currency = self.place.plan.currency
        self._before = spending(self.place).scores
        what = f"asking the cloud {prompts} prompts of the golden set, at most {most:.2f} {currency}"
        self.place.note("golden", what, Spent(currency=currency, spent=self._before, reserved=most))

    def require(self, most: float) -> None:
        """Raise RackwrightError if the budget doesn't cover it."""
        left, currency = self.left(), self.place.plan.currency
        if most > left:
            raise RackwrightError(
                f"the golden set may cost {most:.2f} {currency}, and {max(0.0, left):.2f} are left",
                where=f"the plan of {self.place.plan.migration}",
                should="replay.budget should cover it",
                next=f"raise replay.budget, then rackwright migrate score {self.place.plan.migration}",
            )

    def settle(self, cost: float) -> None:
        """Note what it has cost."""
        currency = self.place.plan.currency
        what = f"asked the cloud the golden set for {cost:.2f} {currency}"
        self.place.note("golden", what, Spent(currency=currency, spent=self._before + cost))
