"""When a provider may be asked, with a clock of the test's own."""

from __future__ import annotations

import pytest

from rackwright.lifecycle.migrate.provider_turns import Halt, Turns


class Clock:
    time = 100.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def turns(clock: Clock, **more: int) -> Turns:
    return Turns(now=clock.now, sleep=clock.sleep, **more)


def test_all_wait_when_one_is_asked_to() -> None:
    clock = Clock()
    found = turns(clock)
    found.limited(found.take(), 30)
    found.pause(10)
    assert found.take() == pytest.approx(130)


def test_pauses_grow_until_something_is_answered() -> None:
    clock = Clock()
    found = turns(clock)
    waited = []
    for number in range(9):
        sent = found.take()
        found.limited(sent, None)
        waited.append(found.take() - sent)
        if number == 7:
            found.answered()
    assert waited == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 1])


def test_of_several_in_flight_together_the_first_429_counts() -> None:
    clock = Clock()
    found = turns(clock, most_limited=2)
    sent = found.take()
    for _ in range(5):
        found.limited(sent, None)
    assert found.take() == pytest.approx(sent + 1)
    found.limited(found.take(), 0)
    found.limited(found.take(), 0)
    with pytest.raises(Halt, match="it answers nothing but 429"):
        found.take()


def test_failures_in_a_row_end_it_for_all() -> None:
    found = turns(Clock(), most_failed=3)
    for _ in range(2):
        found.failed("HTTP 500")
    found.answered()
    for _ in range(2):
        found.failed("HTTP 500")
    found.take()
    found.failed("it doesn't answer")
    found.halt(Halt("a later reason"))
    with pytest.raises(Halt, match="3 requests in a row have no answer: it doesn't answer"):
        found.rest(1)


def test_ctrl_c_ends_a_wait() -> None:
    clock = Clock()
    found = Turns(now=clock.now, sleep=clock.sleep, stopping=lambda: clock.time >= 105)
    found.pause(3600)
    with pytest.raises(Halt, match="interrupted") as stopped:
        found.take()
    assert stopped.value.interrupted
    assert clock.time == pytest.approx(105)
