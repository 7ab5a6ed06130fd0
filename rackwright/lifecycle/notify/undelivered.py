"""A notice that a receiver didn't get."""

from __future__ import annotations

from rackwright.errors import RackwrightError


class Undelivered(RackwrightError):
    """`where` names the receiver. Nothing here contains a secret or a server's own words."""

    def __init__(self, what: str, *, where: str, next: str | None = None, again: bool = False) -> None:
        super().__init__(what, where=where, next=next)
        self.again = again
        """Whether another try may succeed."""

    @property
    def said(self) -> str:
        """All of it as one line."""
        problem = self.problems[0]
        return f"{problem.where}: {problem.line()}"
