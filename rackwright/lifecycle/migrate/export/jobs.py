"""The objects that wait for a thread. Those that are listed wait for room, so that few are in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

from rackwright.migrate.export.kinds import Kind

MOST_WAITING = 200


@dataclass(frozen=True)
class Job:
    """One object to fetch."""

    kind: Kind
    id: str
    item: Mapping[str, Any] | None = None
    """As it was listed; None: no list has it, and it is asked for by its id."""
    named: str = ""
    """What names an object that isn't listed."""


@dataclass
class Jobs:
    _waiting: deque[Job] = field(default_factory=deque)
    _open: int = 0
    """Jobs that aren't done."""
    _closed: bool = False
    _changed: Condition = field(default_factory=Condition, repr=False)

    @property
    def closed(self) -> bool:
        return self._closed

    def offer(self, job: Job) -> None:
        """Add a job when there is room."""
        with self._changed:
            while len(self._waiting) >= MOST_WAITING and not self._closed:
                # With a limit, so that signals are handled meanwhile.
                self._changed.wait(0.5)
            self._add(job, last=True)

    def add(self, job: Job) -> None:
        """Add a job that comes before all others."""
        with self._changed:
            self._add(job, last=False)

    def take(self) -> Job | None:
        """Return the next job when there is one; None: there are no more."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait(0.5)
            return self._waiting.popleft() if self._waiting else None

    def done(self) -> None:
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def join(self) -> None:
        """Return when all jobs are done, or none starts any more."""
        with self._changed:
            while self._open and not self._closed:
                self._changed.wait(0.5)

    def close(self) -> None:
        """Let no further job start."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _add(self, job: Job, *, last: bool) -> None:
        if self._closed:
            return
        self._open += 1
        (self._waiting.append if last else self._waiting.appendleft)(job)
        self._changed.notify_all()
