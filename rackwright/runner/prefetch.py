"""Ask the questions of a run's next operations in one round trip, while the run is executed.

Each operation repeats its questions from the plan, because an earlier operation may have changed the answers. Until
the next change, no answer changes. So the questions of the operations that are expected to change nothing are sent
together with those of the next operation that is expected to change something. The first command that isn't a
question makes all answers stale.
"""

from __future__ import annotations

from collections.abc import Iterable

from rackwright.remote import Completed
from rackwright.runner.questions import Asks, ask_together


class Prefetch:
    """The questions of one host's operations, and the answers that aren't stale yet."""

    def __init__(self, connection: Asks, seconds: float) -> None:
        """`seconds`: the longest time in which a host must answer."""
        self._connection, self._seconds = connection, seconds
        self._questions: dict[str, dict[str, None]] = {}
        self._answers: dict[str, Completed] = {}
        self._used: set[str] = set()
        self._failed = False

    def foresee(self, operation: str, question: str) -> None:
        """Record that the operation asked this in the plan."""
        self._questions.setdefault(operation, {})[question] = None

    def begin(self, operation: str, following: Iterable[str]) -> None:
        """Fetch the answers for this operation, which runs next, and for the `following` ones."""
        self._used.clear()
        if self._failed or self._questions.get(operation, {}).keys() <= self._answers.keys():
            return
        foreseen = [question for one in (operation, *following) for question in self._questions.get(one, {})]
        self._answers = ask_together(self._connection, dict.fromkeys(foreseen), self._seconds)
        # A question that hangs would delay every operation before the one that asks it.
        self._failed = not self._answers

    def answer(self, question: str) -> Completed | None:
        """Return the host's answer, or None if the host must be asked.

        An operation that repeats a question waits for a new answer, so a repeated question returns None too.
        """
        if question in self._used:
            self.forget()
            return None
        self._used.add(question)
        return self._answers.get(question)

    def forget(self) -> None:
        """Drop all answers, because something may have changed."""
        self._answers, self._failed = {}, False
