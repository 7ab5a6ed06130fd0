"""While a run is executed: what its next operations ask, in one round trip.

Each operation asks again what it asked in the plan, because an earlier one may have changed the answer. No answer
changes before the next change. So the questions of the operations that should find everything as it is are sent
together, with those of the next one that should change something. The first command that isn't a question makes all
answers stale.
"""

from __future__ import annotations

from collections.abc import Iterable

from rackwright.remote import Completed
from rackwright.runner.questions import Asks, ask_together


class Prefetch:
    """The questions of one host's operations, and the answers that nothing has made stale."""

    def __init__(self, connection: Asks, seconds: float) -> None:
        """`seconds`: the longest that a host may take to answer."""
        self._connection, self._seconds = connection, seconds
        self._questions: dict[str, dict[str, None]] = {}
        self._answers: dict[str, Completed] = {}
        self._used: set[str] = set()
        self._failed = False

    def foresee(self, operation: str, question: str) -> None:
        """The operation asked this in the plan."""
        self._questions.setdefault(operation, {})[question] = None

    def begin(self, operation: str, following: Iterable[str]) -> None:
        """The operation runs next: its questions have answers afterwards, and so do those of the `following` ones."""
        self._used.clear()
        if self._failed or self._questions.get(operation, {}).keys() <= self._answers.keys():
            return
        foreseen = [question for one in (operation, *following) for question in self._questions.get(one, {})]
        self._answers = ask_together(self._connection, dict.fromkeys(foreseen), self._seconds)
        # A question that hangs would hold up each operation before the one that asks it.
        self._failed = not self._answers

    def answer(self, question: str) -> Completed | None:
        """Return the host's answer, or None: then the host must be asked.

        A question that an operation repeats isn't answered from here either: the operation waits for a new answer.
        """
        if question in self._used:
            self.forget()
            return None
        self._used.add(question)
        return self._answers.get(question)

    def forget(self) -> None:
        """Something may have changed."""
        self._answers, self._failed = {}, False
