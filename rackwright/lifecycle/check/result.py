"""One condition of a check, and its state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Condition:
    """One thing that was checked, on one host or on the controller, and its state."""

    where: str
    what: str
    state: State
    found: str
    next: str | None = None


@dataclass(frozen=True)
class Asked:
    """A server that downloads come from."""

    url: str
    key: str
    """The fleet file's key for it, or "the lock"."""
    exact: bool = False
    """Whether this exact URL must exist; if not, any answer is enough."""
