"""While a run is executed: what its next operations ask, in one round trip.

Each operation asks again what it asked in the plan, because an earlier one may have changed the answer. No answer
changes before the next change. So the questions of the operations that should find everything as it is are sent
together, with those of the next one that should change something. The first command that isn't a question makes all
answers stale.
"""

from __future__ import annotations

from collections.abc import Iterable

from rackwright.engine.questions import Asks, ask_together
from rackwright.remote import Completed


class Ahead:
    """The questions of one host's operations, and the answers that nothing has made stale."""

    def __init__(self, connection: Asks) -> None:
        self._connection = connection
        self._questions: dict[str, dict[str, None]] = {}
        self._answers: dict[str, Completed] = {}
        self._used: set[str] = set()

    def foresee(self, operation: str, question: str) -> None:
        """The operation asked this in the plan."""
        self._questions.setdefault(operation, {})[question] = None

    def begin(self, operation: str, following: Iterable[str]) -> None:
        """The operation runs next: its questions have answers afterwards, and so do those of the `following` ones."""
        self._used.clear()
        if self._questions.get(operation, {}).keys() <= self._answers.keys():
            return
        foreseen = [question for one in (operation, *following) for question in self._questions.get(one, {})]
        self._answers = ask_together(self._connection, dict.fromkeys(foreseen))

    def answer(self, question: str) -> Completed | None:
        """Return the host's answer, or None: then the host must be asked.

        That holds for whatever an operation asks twice: it waits for another answer.
        """
        if question in self._used:
            return None
        self._used.add(question)
        return self._answers.get(question)

    def forget(self) -> None:
        """Something may have changed."""
        self._answers = {}
