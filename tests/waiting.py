"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> float:
    """Return after how many seconds it held. Fail if it never did."""
    started = asked = time.monotonic()
    while not holds():
        now = time.monotonic()
        assert now - started < seconds, f"not within {seconds} s"
        # Asking is work, too: what is waited for has this machine for as long again.
        time.sleep(max(0.2, now - asked))
        asked = time.monotonic()
    return time.monotonic() - started
