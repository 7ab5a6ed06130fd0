"""How a procedure reports progress and asks questions, independent of the user interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rackwright.errors import RackwrightError


class Console(Protocol):
    def stage(self, what: str, stages: Sequence[str]) -> None:
        """Announce which of these stages starts."""

    def say(self, text: str) -> None:
        """Print a line that the operator should see."""

    def heard(self) -> None:
        """Confirm at once that Ctrl-C was received. Called from a signal handler."""

    def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None:
        """Return when the operator agrees. Raise RackwrightError if not.

        `refusal` marks a question that --yes doesn't answer: it is raised if there is no one to ask, and its `next`
        names the option that agrees.
        """

    def confirm_by_name(self, warning: str, name: str, *, refusal: RackwrightError) -> None:
        """Return when the operator has typed this name, after reading the warning. Raise RackwrightError if not.

        --yes doesn't answer it: `refusal` is raised if there is no one to ask, and its `next` names the option that
        agrees.
        """

    def arriving(self, host: str, what: str, done: int, total: int, rate: int) -> None:
        """Report that `done` of `total` bytes have reached the host from another host, at `rate` bytes per second."""
