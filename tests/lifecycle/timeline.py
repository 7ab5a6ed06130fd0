"""Simulated time for several pieces of work: each runs until it waits; then the one whose time comes first goes on."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from greenlet import getcurrent, greenlet

_Waiting = tuple[float, int, greenlet]


@dataclass
class Timeline:
    now: Callable[[], float]
    advance: Callable[[float], None]
    """Passes this many seconds; what it raises is raised in the work that waits until then."""
    _waiting: list[_Waiting] = field(default_factory=list)
    _number: int = 0

    def wait(self, seconds: float) -> None:
        """Return when this much time has passed. 0 lets other work go on at the same moment."""
        until = self.now() + seconds
        self._park(until, getcurrent())
        following = self._next()
        if following is not getcurrent():
            following.switch()
        if (left := until - self.now()) > 0:
            self.advance(left)

    def start(self, work: Callable[[], None]) -> None:
        """Start work that begins when this one waits next."""

        def run() -> None:
            work()
            # A greenlet that ends goes on with its parent.
            getcurrent().parent = self._next()

        self._park(self.now(), greenlet(run))

    def finish(self) -> None:
        """Wait until all other work has ended."""
        while self._waiting:
            self.wait(1.0)

    def _park(self, until: float, work: greenlet) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (until, self._number, work))

    def _next(self) -> greenlet:
        return heapq.heappop(self._waiting)[2]
