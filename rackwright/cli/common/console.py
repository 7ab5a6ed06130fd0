"""The progress and the questions of a procedure, on the command line."""

from __future__ import annotations

from rackwright.cli.common.options import confirm, typed
from rackwright.errors import RackwrightError, UsageError
from rackwright.report import Live


class Console(Live):
    """Shows progress, and asks unless the operator passed --yes."""

    def __init__(self, *, quiet: bool, yes: bool) -> None:
        super().__init__(quiet=quiet)
        self._quiet, self._yes = quiet, yes

    def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None:
        self.pause()
        if refusal is None:
            confirm(question, yes=self._yes)
            return
        if self._yes or self._quiet:
            raise refusal
        try:
            confirm(question, yes=False)
        except UsageError:
            # There is no terminal. Its advice is --yes, which doesn't answer this question.
            raise refusal from None

    def confirm_by_name(self, warning: str, name: str, *, refusal: RackwrightError) -> None:
        self.pause()
        if self._yes or self._quiet:
            raise refusal
        if typed(f"{warning} Type {name} to go on") != name:
            raise RackwrightError("not confirmed, nothing was changed")
