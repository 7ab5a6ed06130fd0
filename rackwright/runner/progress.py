"""The progress that the runner reports while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rackwright.run import Step


@dataclass(frozen=True)
class Progress:
    """The progress of one operation on one host."""

    host: str
    role: str
    operation: str
    number: int
    """Counted from 1 among the host's operations."""
    total: int
    step: Step | None = None
    """The operation's result; None while it runs."""
    bytes_sent: int = 0
    bytes_total: int = 0
    """Size of the file that the operation uploads; 0 if it uploads none."""


Listener = Callable[[Progress], None]
