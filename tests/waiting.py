"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.times.recorder import spent

_LONG = 120
"""Who may wait longer than that (seconds) waits for something that stays, and need not see it at once."""


@spent("waits for a condition")
def wait_until(holds: Callable[[], bool], seconds: float = 60) -> float:
    """Return after how many seconds it held. Fail if it never did."""
    started = asked = time.monotonic()
    while not holds():
        now = time.monotonic()
        assert now - started < seconds, f"not within {seconds} s"
        # Asking is work, too: what is waited for has this machine for as long again, or longer.
        time.sleep(max(0.05, (now - asked) * (4 if seconds > _LONG else 1)))
        asked = time.monotonic()
    return time.monotonic() - started
