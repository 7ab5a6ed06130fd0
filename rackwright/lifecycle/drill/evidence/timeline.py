"""When a drill's phases began and how long they took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from rackwright.errors import RackwrightError
from rackwright.state.formats import Moment, utc_now


def _elapsed() -> float:
    # It also counts while a laptop sleeps, and an outage does, too. macOS counts so in its monotonic clock.
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


@dataclass(frozen=True)
class Clock:
    """Both clocks of this machine. Tests put in their own."""

    now: Callable[[], datetime] = utc_now
    """UTC, for people. It may jump."""
    elapsed: Callable[[], float] = _elapsed
    """Seconds; never goes back."""


@dataclass(frozen=True)
class Phase:
    name: str
    started: Moment
    after_s: float
    """Seconds from the declared loss to its start."""
    seconds: float


@dataclass(frozen=True)
class Timing:
    """What a time line measured. All seconds are by a clock that never goes back."""

    loss_declared: Moment
    phases: tuple[Phase, ...] = ()
    answer_after_s: float | None = None
    """Seconds from the declared loss to the first proven answer: the measured RTO. None: there was no such answer."""
    ended: Moment | None = None
    ended_after_s: float | None = None


@dataclass
class Timeline:
    """Records the phases as they happen. `timing` may be read at any time."""

    clock: Clock = field(default_factory=Clock)
    _loss: tuple[datetime, float] | None = None
    _reached: list[tuple[str, datetime, float]] = field(default_factory=list)
    _answer: float | None = None
    _end: tuple[datetime, float] | None = None

    def declare_loss(self) -> datetime:
        """Start the time line, and return the time (UTC). Raise RackwrightError if it was started before."""
        if self._loss:
            raise RackwrightError("the loss was declared before")
        self._loss = (self.clock.now(), self.clock.elapsed())
        return self._loss[0]

    def reach(self, phase: str) -> None:
        """End the phase before, and start this one."""
        self._reached.append((phase, self.clock.now(), self._after()))

    def answer_proven(self) -> None:
        """Note that an answer was proven. Only the first counts."""
        after = self._after()
        self._answer = after if self._answer is None else self._answer

    def forget_answer(self) -> None:
        """Note that what gave the answer is gone, so that the next one counts."""
        self._answer = None

    def end(self) -> None:
        """End the last phase. Only the first call counts."""
        after = self._after()
        self._end = self._end or (self.clock.now(), after)

    @property
    def timing(self) -> Timing | None:
        """What has been measured so far; None before the loss was declared."""
        if not self._loss:
            return None
        last = self._end[1] if self._end else self._after()
        ends = [*(after for _, _, after in self._reached), last][1:]
        phases = tuple(
            Phase(name, started, after, round(max(end - after, 0.0), 3))
            for (name, started, after), end in zip(self._reached, ends, strict=True)
        )
        return Timing(self._loss[0], phases, self._answer, *(self._end or (None, None)))

    @property
    def rto_s(self) -> float | None:
        """Seconds from the declared loss to the first proven answer, None if there was none yet."""
        return self._answer

    def _after(self) -> float:
        if not self._loss:
            raise RackwrightError("no loss was declared yet")
        return round(self.clock.elapsed() - self._loss[1], 3)
