"""Invented records of heavy tests."""

from __future__ import annotations

from tests.heavy.need.record import Passed, Record

BASE = "0" * 40


def passed(landing: int, seconds: float | None = 10.0) -> Passed:
    return Passed(landing, "2026-11-27", "1" * 40, seconds)


def record(landing: int, **landings: int) -> Record:
    """Return a record whose newest landing is `landing`; each named file last passed in the landing given for it."""
    return Record(landing, BASE, {f"test_{name}.py": passed(number) for name, number in landings.items()})
