"""How a procedure says what it does, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Talk(Protocol):
    def stage(self, text: str) -> None:
        """A new part of the work begins."""

    def say(self, text: str) -> None:
        """Something the operator should know."""

    def confirm(self, question: str) -> None:
        """Return when the operator agrees. Raise RackwrightError if not."""
