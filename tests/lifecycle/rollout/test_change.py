from __future__ import annotations

import time

import pytest

from rackwright.lifecycle.rollout.change import SystemClock


def test_the_systems_clock_sleeps_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    SystemClock().sleep(0.25)
    assert slept == [0.25]
    assert SystemClock().now() <= SystemClock().now()
