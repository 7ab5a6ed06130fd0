"""Simulated time for several pieces of work: each runs until it waits, then the one that is due."""

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
    _errors: dict[greenlet, BaseException] = field(default_factory=dict)
    """What ends work, raised where it waits."""
    _number: int = 0
    _first: greenlet = field(default_factory=getcurrent)

    def wait(self, seconds: float) -> None:
        """Return when this much time has passed. 0 lets other work go on at the same moment."""
        until = self.now() + seconds
        self._park(until, getcurrent())
        following = self._next()
        if following is not getcurrent():
            following.switch()
        if error := self._errors.pop(getcurrent(), None):
            raise error
        if (left := until - self.now()) > 0:
            self.advance(left)

    def start(self, work: Callable[[], None]) -> Callable[[BaseException], None]:
        """Start work that begins when this one waits next. Return what raises an error where it waits."""

        def run(*_: object) -> None:
            """Greenlets get the result of the one that ended before them."""
            work()
            # When a greenlet ends, its parent goes on.
            getcurrent().parent = self._next()

        # The same parent for all: the one that starts it may end before it does, and they must not form a cycle.
        started = greenlet(run, parent=self._first)
        self._park(self.now(), started)
        return lambda error: self._end(started, error)

    def _end(self, work: greenlet, error: BaseException) -> None:
        self._waiting = [one for one in self._waiting if one[2] is not work]
        heapq.heapify(self._waiting)
        if work:  # It has begun, and hasn't ended.
            self._errors[work] = error
            self._park(self.now(), work)
        while work:
            self.wait(0)

    @property
    def over(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def _park(self, until: float, work: greenlet) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (until, self._number, work))

    def _next(self) -> greenlet:
        return heapq.heappop(self._waiting)[2]
