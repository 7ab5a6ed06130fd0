"""The score of what clients ask during a step of a cutover, worked out in a thread while the watch goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.shadow.moment import Moment, known_round, moment_of_step
from rackwright.lifecycle.migrate.shadow.round import shadow_round
from rackwright.lifecycle.migrate.shadow.shadow_folder import record
from rackwright.lifecycle.rollout.change import Clock
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.shadow_result import Shadowed
from rackwright.stopping import Stopping
from rackwright.verdict import Word

EVERY = 86_400.0
"""Seconds after which a step that lasts longer is scored again."""
LEAST_BETWEEN = 60.0
END_SECONDS = 10.0
"""How long a step's end waits for answers in flight: they are paid for."""
Round = Callable[[Place, Moment, Stopping], Shadowed]


@dataclass(frozen=True)
class Found:
    """What is known of a step's score."""

    word: Word | None = None
    """None: it isn't worked out yet."""
    why: str = ""


class Score(Protocol):
    """The score of one step."""

    def look(self, *, wanted: bool) -> Found:
        """Return what is known; `wanted`: nothing else keeps the share from growing."""

    def close(self) -> None:
        """Ask nothing more."""


@dataclass
class FreshScore:
    place: Place
    """Of this score alone: its log goes on apart from the cutover's."""
    moment: Moment
    clock: Clock
    between: float
    """Seconds between two rounds while the score is open."""
    round: Round = shadow_round
    record: Callable[[Place], None] = record
    _found: Shadowed | None = None
    _open: str = "nothing was asked yet"
    """Why there is no score."""
    _last: float = 0.0
    _rounds: int = 0
    _thread: threading.Thread | None = None
    _failure: BaseException | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._found, self._last = known_round(self.place, self.moment), self.clock.now()
        self._start(lambda: self.record(self.place))

    def look(self, *, wanted: bool) -> Found:
        """Return what the newest round says; begin another one if it is time for it.

        Raise whatever ended a round, except RackwrightError, which keeps the score open.
        """
        if self._failure:
            raise self._failure
        if not self._runs and self._due(wanted):
            self._last, self._rounds = self.clock.now(), self._rounds + 1
            self._start(self._score)
        scored = self._found.scored if self._found else None
        return Found(scored.word, scored.why) if scored else Found(None, self._open)

    def close(self) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join(END_SECONDS)

    @property
    def _runs(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _due(self, wanted: bool) -> bool:
        waited, scored = self.clock.now() - self._last, self._found.scored if self._found else None
        if waited >= EVERY:
            return True
        if not wanted or (scored and scored.word is not Word.INCONCLUSIVE):
            return False
        return self._rounds == 0 or waited >= self.between

    def _score(self) -> None:
        self._open = "both sides are being asked"
        self._found = self.round(self.place, self.moment, self._ended.is_set)

    def _start(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except RackwrightError as error:
                self._open = f"{error.problems[0]}"
            except BaseException as error:
                self._failure = error

        self._thread = threading.Thread(target=run, name="fresh-score", daemon=True)
        self._thread.start()


def fresh_score(place: Place, clock: Clock, state: CutoverState) -> Score:
    """Return what scores the step that was just reached; the gateways record requests from now on."""
    own = replace(place, minds=frozenset({"shadow"}))
    between = max(LEAST_BETWEEN, place.plan.cutover.min_duration / 4)
    return FreshScore(own, moment_of_step(state), clock, between)
