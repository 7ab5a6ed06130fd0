"""What an attacker from outside has: keys that are good for little, and words by which their traces are found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    scoped: str
    """A key for the model `assistant` only."""
    revoked: str
    expired: str
    canary: str
    """In prompts, made-up headers and paths: it should be in no log."""


MADE_UP = Words(f"rw-scoped-{'s' * 42}A", f"rw-revoked-{'r' * 42}A", f"rw-expired-{'e' * 42}A", "canary")
"""For tests without a fleet."""
