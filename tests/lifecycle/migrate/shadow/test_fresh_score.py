"""A step's score is worked out beside the watch, as often as it is of use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.shadow.fresh_score import EVERY, Found, FreshScore
from rackwright.lifecycle.migrate.shadow.moment import Moment
from rackwright.migrate.shadow_result import Shadowed
from rackwright.stopping import Stopping
from rackwright.verdict import Word
from tests.lifecycle.migrate.cutover.test_ready import scored
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.test_standing import replayed

STEP = Moment("change", 1_790_000_000.0)


def shadowed(word: Word, moment: Moment = STEP) -> Shadowed:
    return Shadowed(
        change=moment.change, since=moment.time, until=moment.time + 60, outcome=replayed(), scored=scored(word)
    )


@dataclass
class Rounds:
    """What rounds find, one after another; each waits until the test lets it go on."""

    finds: list[Shadowed | BaseException] = field(default_factory=list)
    now_: float = 0.0
    run: int = 0
    recorded: int = 0
    may_end: threading.Event = field(default_factory=threading.Event)
    stopped: bool = False

    def now(self) -> float:
        return self.now_

    def sleep(self, seconds: float) -> None: ...

    def record(self, place: Place) -> None:
        self.recorded += 1

    def round(self, place: Place, moment: Moment, stopping: Stopping) -> Shadowed:
        self.run += 1
        while not self.may_end.wait(0.01):
            if stopping():
                self.stopped = True
                break
        found = self.finds.pop(0)
        if isinstance(found, BaseException):
            raise found
        return found


@pytest.fixture
def rounds() -> Iterator[Rounds]:
    found = Rounds()
    found.may_end.set()
    yield found
    found.may_end.set()


@pytest.fixture
def begin(desk: Desk, rounds: Rounds) -> Callable[[], FreshScore]:
    def started() -> FreshScore:
        score = FreshScore(desk.open(), STEP, rounds, 60, rounds.round, rounds.record)
        ended(score)
        return score

    return started


def ended(score: FreshScore) -> None:
    """Return when the thread has nothing to do."""
    assert score._thread
    score._thread.join(10)
    assert not score._thread.is_alive()


def look(score: FreshScore, *, wanted: bool = True) -> Found:
    """Look, let a round end that this begins, and return what is known then."""
    score.look(wanted=wanted)
    ended(score)
    return score.look(wanted=False)


def test_requests_are_recorded_from_the_beginning_and_scored_when_it_is_wanted(
    begin: Callable[[], FreshScore], rounds: Rounds
) -> None:
    rounds.finds.append(shadowed(Word.PASS))
    score = begin()
    assert rounds.recorded == 1
    assert look(score, wanted=False) == Found(None, "nothing was asked yet")
    assert rounds.run == 0
    assert look(score) == Found(Word.PASS, "because")
    assert look(score).word is Word.PASS
    assert rounds.run == 1


def test_the_watch_goes_on_during_a_round(begin: Callable[[], FreshScore], rounds: Rounds) -> None:
    rounds.finds.append(shadowed(Word.FAIL))
    rounds.may_end.clear()
    score = begin()
    for _ in range(3):
        assert score.look(wanted=True).word is None
    assert score.look(wanted=True).why == "both sides are being asked"
    rounds.may_end.set()
    ended(score)
    assert score.look(wanted=True).word is Word.FAIL
    assert rounds.run == 1


def test_an_open_score_is_tried_again_with_more_requests(begin: Callable[[], FreshScore], rounds: Rounds) -> None:
    rounds.finds += [shadowed(Word.INCONCLUSIVE), shadowed(Word.PASS)]
    score = begin()
    assert look(score).word is Word.INCONCLUSIVE
    rounds.now_ = 59
    assert look(score).word is Word.INCONCLUSIVE
    rounds.now_ = 60
    assert look(score).word is Word.PASS


def test_a_round_that_fails_keeps_the_score_open(begin: Callable[[], FreshScore], rounds: Rounds) -> None:
    rounds.finds += [HostError("can't be reached", where="gate1"), shadowed(Word.PASS)]
    score = begin()
    assert look(score) == Found(None, "gate1: can't be reached")
    rounds.now_ = 60
    assert look(score).word is Word.PASS


def test_a_step_that_lasts_is_scored_daily(begin: Callable[[], FreshScore], rounds: Rounds) -> None:
    rounds.finds += [shadowed(Word.PASS), shadowed(Word.FAIL)]
    score = begin()
    assert look(score).word is Word.PASS
    rounds.now_ = EVERY
    assert look(score, wanted=False).word is Word.FAIL


def test_a_score_that_is_known_is_not_paid_for_again(
    desk: Desk, begin: Callable[[], FreshScore], rounds: Rounds
) -> None:
    desk.open().note("shadow", "PASS", shadowed(Word.PASS))
    assert look(begin()).word is Word.PASS
    assert rounds.run == 0
    desk.open().note("shadow", "PASS", shadowed(Word.PASS, Moment("earlier", 1.0)))
    rounds.finds.append(shadowed(Word.FAIL))
    assert look(begin()).word is Word.FAIL


def test_the_end_of_a_step_stops_its_round(begin: Callable[[], FreshScore], rounds: Rounds) -> None:
    rounds.finds.append(shadowed(Word.PASS))
    rounds.may_end.clear()
    score = begin()
    score.look(wanted=True)
    score.close()
    ended(score)
    assert rounds.stopped


def test_a_bug_is_not_an_open_score(begin: Callable[[], FreshScore], rounds: Rounds) -> None:
    rounds.finds.append(ZeroDivisionError())
    score = begin()
    score.look(wanted=True)
    ended(score)
    with pytest.raises(ZeroDivisionError):
        score.look(wanted=True)
