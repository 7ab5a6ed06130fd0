"""What a procedure says and asks, at the command line."""

from __future__ import annotations

from rackwright.cli.options import confirm
from rackwright.report import Live


class Talk(Live):
    """Shows progress, and asks unless the operator said --yes."""

    def __init__(self, *, quiet: bool, yes: bool) -> None:
        super().__init__(quiet=quiet)
        self._yes = yes

    def confirm(self, question: str) -> None:
        self.pause()
        confirm(question, yes=self._yes)
