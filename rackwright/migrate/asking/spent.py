"""What scores of a migration have cost at the cloud, as the control hosts keep it."""

from __future__ import annotations

from rackwright.values.base import Stored


class Spent(Stored):
    """For the golden set, which isn't recorded and so isn't part of a replay."""

    format: str = "migration-spent/1"
    currency: str
    spent: float = 0.0
    """What the cloud charged, by the plan's prices."""
    reserved: float = 0.0
    """The most that the score under way may cost. If it was interrupted, this counts as spent."""

    @property
    def all(self) -> float:
        return self.spent + self.reserved
