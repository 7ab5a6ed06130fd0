from __future__ import annotations

import gevent

from rackwright.lifecycle.rollout.change import SystemClock


def test_the_systems_clock_sleeps_as_long_as_it_is_told(monkeypatch):
    slept = []
    monkeypatch.setattr(gevent, "sleep", slept.append)
    SystemClock().sleep(0.25)
    assert slept == [0.25]


def test_work_that_was_started_goes_on_while_the_clock_sleeps():
    clock, seen = SystemClock(), []
    clock.start(lambda: seen.append(1))
    assert seen == []
    clock.sleep(0)
    assert seen == [1]
