"""The budget of a replay: nothing is asked whose most expensive outcome it wouldn't cover."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class Budget:
    """Counts in a currency. Threads share it."""

    limit: float
    """What may be spent from now on."""
    spent: float = 0.0
    _taken: float = 0.0
    """The most that what is in flight may cost."""
    _in_flight: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def take(self, most: float) -> bool:
        """Set `most` aside for a request, and return True. If it isn't free, wait for what is in flight to end.

        Return False if it isn't free although nothing is in flight.
        """
        with self._changed:
            # Sums of floats: they may differ in the last digit.
            while self.spent + self._taken + most > self.limit * (1 + 1e-9):
                if not self._in_flight:
                    return False
                self._changed.wait()
            self._taken += most
            self._in_flight += 1
            return True

    def settle(self, most: float, cost: float) -> None:
        """Free what was set aside, and count what the request has cost."""
        with self._changed:
            self._in_flight -= 1
            # Differences of floats leave something, which in some currencies is more than any small number.
            self._taken = max(0.0, self._taken - most) if self._in_flight else 0.0
            self.spent += cost
            self._changed.notify_all()
