from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.drill.evidence.timeline import Clock, Phase, Timeline

START = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)


@dataclass
class Hands:
    """Two clocks that tests set. The one for people is a day off after `jump`."""

    seconds: float = 0.0
    jump: timedelta = timedelta()

    @property
    def clock(self) -> Clock:
        return Clock(lambda: START + timedelta(seconds=int(self.seconds)) + self.jump, lambda: 5000.0 + self.seconds)


def test_phases_follow_one_another_and_the_first_answer_counts():
    hands = Hands()
    line = Timeline(hands.clock)
    assert line.timing is None
    assert line.declare_loss() == START
    line.reach("fetched")
    hands.seconds = 10
    line.reach("restored")
    hands.seconds = 25
    assert line.timing.phases[-1].seconds == 15  # so far
    line.answer_proven()
    hands.seconds = 30
    line.answer_proven()
    line.end()
    hands.seconds = 99
    line.end()
    assert line.rto_s == 25
    assert line.timing.phases == (
        Phase("fetched", START, 0.0, 10.0),
        Phase("restored", START + timedelta(seconds=10), 10.0, 20.0),
    )
    assert (line.timing.answer_after_s, line.timing.ended, line.timing.ended_after_s) == (
        25.0,
        START + timedelta(seconds=30),
        30.0,
    )


def test_a_changed_clock_changes_no_duration():
    hands = Hands()
    line = Timeline(hands.clock)
    line.declare_loss()
    line.reach("fetched")
    hands.seconds, hands.jump = 10, timedelta(days=-1)
    line.answer_proven()
    line.end()
    assert (line.rto_s, line.timing.phases[0].seconds, line.timing.ended_after_s) == (10, 10, 10)
    assert line.timing.ended < line.timing.loss_declared


def test_nothing_can_happen_before_the_loss_and_it_is_declared_once():
    line = Timeline(Hands().clock)
    for act in (line.answer_proven, line.end, lambda: line.reach("fetched")):
        with pytest.raises(RackwrightError, match="no loss"):
            act()
    line.declare_loss()
    with pytest.raises(RackwrightError, match="before"):
        line.declare_loss()


def test_the_real_clocks_go():
    line = Timeline()
    line.declare_loss()
    line.answer_proven()
    assert 0 <= line.rto_s < 60
