"""How many conversations a comparison needs: they, not requests, are the independent samples of live traffic."""

from __future__ import annotations

LEAST = 20
"""Conversations of each side: with fewer, an estimate is too uncertain."""


def too_few(running: int, candidate: int, least: int = LEAST, what: str = "conversations") -> str | None:
    """Return a sentence that one side has too few, or None if both have enough."""
    fewest = min(running, candidate)
    if fewest >= least:
        return None
    side = "the candidate" if candidate == fewest else "the running version"
    return f"not enough {what} of {side}: {fewest}, at least {least} are needed"
