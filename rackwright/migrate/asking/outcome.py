"""What a migration's replays have done so far, as the control hosts keep it: no text of a request or answer."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.migrate.asking.stopped import Stopped
from rackwright.migrate.replayed_answer import Asked, ReplayedAnswer
from rackwright.values.base import Stored


class Asks(Stored):
    """What became of the requests that one end was asked. Errors are answers, too: the same requests aren't asked
    again."""

    answered: int = 0
    errors: Mapping[str, int] = {}
    """In a few words → how many."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """Of all answers together."""

    @property
    def all(self) -> int:
        return self.answered + sum(self.errors.values())

    def plus(self, answer: ReplayedAnswer) -> Asks:
        """Return the counts with this answer."""
        if answer.error:
            kind = _kind(answer)
            return self.model_copy(update={"errors": {**self.errors, kind: self.errors.get(kind, 0) + 1}})
        return Asks(
            answered=self.answered + 1,
            errors=self.errors,
            prompt_tokens=self.prompt_tokens + (answer.prompt_tokens or 0),
            completion_tokens=self.completion_tokens + (answer.completion_tokens or 0),
            seconds=self.seconds + answer.seconds,
        )


class Outcome(Stored):
    format: str = "migration-replay/1"
    recorded: int
    """Requests that could be replayed."""
    sample: int
    """How many of them are."""
    left_out: Mapping[str, int] = {}
    """Why other requests can't be replayed → how many."""
    asks: Mapping[Asked, Asks] = {}
    currency: str
    spent: float = 0.0
    """What the cloud charged for all replays of this migration, by the plan's prices."""
    reserved: float = 0.0
    """The most that the part under way may cost. If it was interrupted, this counts as spent."""
    ends: tuple[str, ...] = ()
    """Who was asked, and how (`Way.ends`)."""
    versions: Mapping[str, str] = {}
    """The fleet's model → its version by the lock."""
    stopped: Stopped | None = None
    """Why the replay ended before the sample did; None: it didn't, or it was killed."""

    @property
    def done(self) -> bool:
        """Whether every request of the sample was asked."""
        cloud = self.asks.get("cloud", Asks())
        return cloud.all >= self.sample and all(
            self.asks.get(one, Asks()).all >= cloud.answered for one in ("again", "fleet")
        )

    @property
    def can_be_scored(self) -> bool:
        """Whether the cloud has answered anything."""
        return self.asks.get("cloud", Asks()).answered > 0

    @property
    def why_incomplete(self) -> str:
        """Return in words why not every request was asked; "": it was."""
        return "" if self.done else self.stopped.line() if self.stopped else "it was interrupted"


def _kind(answer: ReplayedAnswer) -> str:
    """Return an error without what the other end said: that may have a part of the prompt."""
    return f"HTTP {answer.status}" if answer.status not in (0, 200) else answer.error
