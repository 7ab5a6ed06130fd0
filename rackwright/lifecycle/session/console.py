"""How a procedure says what it does, without knowing who listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rackwright.errors import RackwrightError


class Console(Protocol):
    def stage(self, what: str, stages: Sequence[str]) -> None:
        """Say which of these stages of the work starts."""

    def say(self, text: str) -> None:
        """Something the operator should know."""

    def heard(self) -> None:
        """Ctrl-C came: say so at once. Called in a signal's handler."""

    def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None:
        """Return when the operator agrees. Raise RackwrightError if not.

        `refusal` stands for what --yes doesn't agree to: it is raised where nobody is asked, and its `next` names the
        option that agrees.
        """

    def arriving(self, host: str, what: str, done: int, total: int, rate: int) -> None:
        """So many bytes of what a host gets from another have arrived, at so many a second."""
