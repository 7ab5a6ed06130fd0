"""The main thread: from what arrived to files."""

from __future__ import annotations

import time
from collections import Counter

from rackwright.roles.capture.program.age_file import ROTATE_SECONDS
from rackwright.roles.capture.program.arrivals import WAITING, Arrivals
from rackwright.roles.capture.program.files import Files
from rackwright.roles.capture.program.line import Unfit, line_of
from rackwright.roles.capture.program.orders import Orders

TICK_SECONDS = 0.5


class Capture:
    """Handles one thing after the other, until the end or a signal."""

    def __init__(self, orders: Orders, files: Files, arrivals: Arrivals) -> None:
        self._orders, self._files, self._arrivals = orders, files, arrivals
        self.stopped = False
        self.asked = False
        """Whether the open file should be completed now."""

    @property
    def ended(self) -> bool:
        """Whether it is over for good."""
        return bool(self._files.counts.ended)

    def run(self) -> None:
        """Return at the capture's end, or when it is stopped; all that arrived until then is in complete files."""
        if not self.ended:
            self._files.save()
        while not self.stopped and not self.ended and time.time() < self._orders.until:
            self._take(TICK_SECONDS)
            self._complete_in_time()
        # What has arrived was confirmed to HAProxy. More may come in, but not without end.
        for _ in range(WAITING):
            self._take(0)
        self._files.complete()
        if not self.stopped and not self.ended:
            self._files.counts.ended = "duration"
        self._files.save()

    def _complete_in_time(self) -> None:
        if self.asked or time.monotonic() - self._files.saved >= ROTATE_SECONDS:
            self.asked = False
            self._files.complete()
            # What was dropped counts even if nothing else was recorded.
            self._files.save()
        elif self._files.due:
            self._files.complete()

    def _take(self, seconds: float) -> None:
        """Wait at most this long for one thing that arrived, and handle it."""
        item = self._arrivals.next(seconds)
        if item is None:
            return
        if isinstance(item, Counter):
            self._files.counts.dropped += item
            self._files.save()
            return
        try:
            self._files.keep(*line_of(item, self._orders.redact))
        except Unfit as unfit:
            self._files.counts.dropped[str(unfit)] += 1
