"""A table of what runs, what doesn't, and why, for a person who reads CI's output."""

from __future__ import annotations

from collections.abc import Collection

from tests.heavy.need.choose import Choice
from tests.heavy.need.record import Record


def table(choices: Collection[Choice], record: Record, *, running: bool = True) -> str:
    """Return a line for each file, those that run first. If not `running`, those are shown as due."""
    word, end = ("runs", "run") if running else ("due", "are due")
    width = max(len(choice.file.name) for choice in choices)
    lines = [
        f"  {word if choice.why else 'NOT RUN':<7}  {choice.file.name:<{width}}  {_said(choice, record)}"
        for choice in sorted(choices, key=lambda choice: (choice.why is None, choice.file.name))
    ]
    chosen = sum(choice.why is not None for choice in choices)
    return "\n".join([*lines, f"  {chosen} of {len(choices)} files {end}."])


def _said(choice: Choice, record: Record) -> str:
    last = _last(record, choice.file.name)
    return f"{choice.why}; {last}" if choice.why else f"not touched; {last}"


def _last(record: Record, name: str) -> str:
    if name not in record.passed:
        return "has never passed"
    passed = record.passed[name]
    at = f"at {passed.commit[:8]}" if passed.commit else "at a commit that isn't known"
    return f"last passed on {passed.on} in landing {passed.landing} {at}"
