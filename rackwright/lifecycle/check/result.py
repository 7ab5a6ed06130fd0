"""One condition of a check, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Condition:
    """One thing looked at, on one host or on the controller, and how it stands."""

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
    """Where the fleet file says so."""
    exact: bool = False
    """Whether this very address must be there; else any answer will do."""
