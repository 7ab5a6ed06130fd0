"""What the engine tells while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rackwright.run import Step


@dataclass(frozen=True)
class Progress:
    """One piece of news about one operation on one host."""

    host: str
    role: str
    operation: str
    number: int
    """Counted from 1 among the host's operations."""
    total: int
    step: Step | None = None
    """What it came to; None while it runs."""
    bytes_sent: int = 0
    bytes_total: int = 0
    """Of the file that it uploads; 0 otherwise."""


Listener = Callable[[Progress], None]
