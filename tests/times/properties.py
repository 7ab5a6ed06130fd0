"""Names of the properties that a test case of a junit file has for our figures."""

from __future__ import annotations

WORKER = "time.worker"
PHASE = "time.phase."
"""Before setup, call or teardown: its start and end, as seconds since 1970."""
SPENT = "time.spent."
"""Before a kind: its seconds."""


def is_timing(name: str) -> bool:
    """Return whether a property of this name is one of ours and none that a test noted."""
    return name.startswith("time.")
