"""Names of the properties in a junit file's test cases from which our figures are made."""

from __future__ import annotations

WORKER = "time.worker"
PHASE = "time.phase."
"""Prefix of setup, call or teardown: start and end, as seconds since 1970."""
SPENT = "time.spent."
"""Prefix of a kind: its seconds."""


def is_timing(name: str) -> bool:
    """Return whether a property of this name is one of ours, rather than one that a test recorded."""
    return name.startswith("time.")
