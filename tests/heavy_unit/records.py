"""Records of heavy tests, made up."""

from __future__ import annotations

from tests.heavy.need.record import Passed, Record

BASE = "0" * 40


def passed(landing: int, seconds: float | None = 10.0) -> Passed:
    return Passed(landing, "2026-11-27", "1" * 40, seconds)


def record(landing: int, **landings: int) -> Record:
    """A record whose newest landing is this one; each file last passed in the landing that is named."""
    return Record(landing, BASE, {f"test_{name}.py": passed(number) for name, number in landings.items()})
