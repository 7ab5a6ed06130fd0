"""New requests are held at the gateways while the last replica of their model answers those that are queued."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

HELD_SECONDS = 30
"""How long gateways hold new requests if nobody tells them again: the controller may be lost."""


@dataclass
class Holding:
    hold: Callable[[int], None]
    """Tells the gateways to hold new requests for so many seconds."""
    count: Callable[[], int]
    """Returns how many requests are queued."""
    now: Callable[[], float]
    _told: float = field(default=float("-inf"), init=False)

    def queued(self) -> int:
        """Return how many requests are queued. New ones are held, as long as this is called every few seconds."""
        if self.now() - self._told >= HELD_SECONDS / 2:
            self.hold(HELD_SECONDS)
            self._told = self.now()
        return self.count()
