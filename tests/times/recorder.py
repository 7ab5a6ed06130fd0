"""Seconds of a test by kind: what they were spent on.

Each moment counts once, for the running kind that started first: a command within a wait counts as the wait.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Recorder:
    """Counts across threads: parallel boots aren't added up."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._running: list[str] = []
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._counted_until = clock()

    @contextmanager
    def spent(self, kind: str) -> Iterator[None]:
        """Count the time within as `kind`, unless another kind is already running. Also a decorator."""
        self._change(self._running.append, kind)
        try:
            yield
        finally:
            self._change(self._running.remove, kind)

    def take(self) -> dict[str, float]:
        """Return the seconds by kind since the last call."""
        with self._lock:
            self._count()
            taken = dict(self._seconds)
            self._seconds.clear()
        return taken

    def _change(self, change: Callable[[str], None], kind: str) -> None:
        with self._lock:
            self._count()
            change(kind)

    def _count(self) -> None:
        now = self._clock()
        if self._running:
            self._seconds[self._running[0]] += now - self._counted_until
        self._counted_until = now


_of_this_process = Recorder()
spent = _of_this_process.spent
take = _of_this_process.take
