"""When a provider may be asked: threads share it, so when one of them is asked to wait, all do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_PAUSE = 1.0
"""Seconds after the first 429 that doesn't say how long to wait; each further one doubles it."""
LONGEST_PAUSE = 60.0
STEP = 0.25
"""Seconds after which a wait looks whether it should end."""


class Halt(Exception):
    """The provider can't be asked any further."""

    def __init__(self, why: str, *, interrupted: bool = False) -> None:
        super().__init__(why)
        self.why, self.interrupted = why, interrupted
        """`interrupted`: the operator stopped it."""


@dataclass
class Turns:
    """Tests have their own time."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = field(default_factory=lambda: threading.Event().wait)
    stopping: Callable[[], bool] = lambda: False
    most_limited: int = 0
    """How many pauses after 429 may follow one another; 0: any number."""
    most_failed: int = 0
    """How many requests in a row may end without an answer; 0: any number."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _until: float = 0.0
    _limited: int = 0
    _failed: int = 0
    _halt: Halt | None = None

    def take(self) -> float:
        """Return, when a request may be sent, the time. Raise Halt."""
        while True:
            self.refuse_halted()
            with self._lock:
                now = self.now()
                left = self._until - now
            if left <= 0:
                return now
            self.sleep(min(left, STEP))

    def rest(self, seconds: float) -> None:
        """Let only the caller wait. Raise Halt."""
        while seconds > 0:
            self.refuse_halted()
            self.sleep(min(seconds, STEP))
            seconds -= STEP

    def refuse_halted(self) -> None:
        """Raise Halt if no further request may start."""
        if self.stopping():
            self.halt(Halt("it was interrupted", interrupted=True))
        with self._lock:
            if self._halt:
                raise self._halt

    def halt(self, why: Halt) -> None:
        """Let no further request start; the first reason counts."""
        with self._lock:
            self._halt = self._halt or why

    def pause(self, seconds: float) -> None:
        """Let all wait."""
        with self._lock:
            self._until = max(self._until, self.now() + seconds)

    def limited(self, sent: float, seconds: float | None) -> None:
        """Let all wait after a 429. `sent`: when its request was; `seconds`: how long it asks to wait."""
        with self._lock:
            # Of several that were in flight together, the first counts.
            counts = sent >= self._until
            self._limited += counts
            limited = self._limited
        if self.most_limited and limited > self.most_limited:
            self.halt(Halt("it answers nothing but 429"))
        elif seconds is not None:
            self.pause(seconds)
        elif counts:
            self.pause(min(FIRST_PAUSE * 2 ** (limited - 1), LONGEST_PAUSE))

    def answered(self) -> None:
        """Note that the provider answers."""
        with self._lock:
            self._limited = self._failed = 0

    def failed(self, problem: str) -> None:
        """Note that a request has no answer, however often it was sent."""
        with self._lock:
            self._failed += 1
            failed = self._failed
        if self.most_failed and failed >= self.most_failed:
            self.halt(Halt(f"{failed} requests in a row have no answer: {problem}"))
