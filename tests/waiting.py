"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.times.recorder import spent

_LONG = 120
"""A caller that waits longer than this (seconds) waits for a lasting condition, and need not see it at once."""


@spent("waits for a condition")
def wait_until(holds: Callable[[], bool], seconds: float = 60) -> float:
    """Wait until the condition is true; return the seconds that it took. Fail if it never was."""
    started = asked = time.monotonic()
    while not holds():
        now = time.monotonic()
        assert now - started < seconds, f"not within {seconds} s"
        # Asking takes time, too: sleep at least as long, so that the awaited process gets the machine.
        time.sleep(max(0.05, (now - asked) * (4 if seconds > _LONG else 1)))
        asked = time.monotonic()
    return time.monotonic() - started


def state(pid: int) -> str:
    """Return the state of a process: S while it sleeps (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
