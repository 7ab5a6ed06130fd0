"""Planned downtime begins early for new requests: the last replica of a model answers those that are queued first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

EARLY_SECONDS = 30
"""How long it lasts if it isn't renewed: the controller may be lost."""


@dataclass
class EarlyDowntime:
    begin: Callable[[int], None]
    """Tells the gateways that it lasts for so many seconds from now."""
    count: Callable[[], int]
    """Returns how many requests are queued."""
    now: Callable[[], float]
    _told: float = field(default=float("-inf"), init=False)

    def queued(self) -> int:
        """Return how many requests are queued. The downtime lasts while this is called every few seconds."""
        if self.now() - self._told >= EARLY_SECONDS / 2:
            self.begin(EARLY_SECONDS)
            self._told = self.now()
        return self.count()
