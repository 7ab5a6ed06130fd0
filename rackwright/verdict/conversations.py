"""How many conversations it takes: they are what live traffic is drawn from."""

from __future__ import annotations

LEAST = 20
"""Of each side: fewer tell too little of those that weren't seen."""


def too_few(running: int, candidate: int, least: int = LEAST, what: str = "conversations") -> str | None:
    """Say which side has too few; None: both have enough."""
    fewest = min(running, candidate)
    if fewest >= least:
        return None
    who = "the candidate" if candidate == fewest else "the running version"
    return f"not enough {what} of {who}: {fewest} of at least {least}"
