from __future__ import annotations

import pytest

from tests.times.recorder import Recorder


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(clock: Clock) -> Recorder:
    return Recorder(clock)


def test_time_within_counts_and_time_outside_does_not(recorder: Recorder, clock: Clock) -> None:
    clock.now = 1
    for _ in range(2):
        with recorder.spent("boot"):
            clock.now += 10
        clock.now += 3
    assert recorder.take() == {"boot": 20}


def test_a_kind_within_another_counts_as_the_outer_one(recorder: Recorder, clock: Clock) -> None:
    with recorder.spent("wait"):
        clock.now += 1
        with recorder.spent("command"):
            clock.now += 10
        clock.now += 1
    assert recorder.take() == {"wait": 12}


def test_of_two_that_overlap_the_second_counts_from_the_end_of_the_first(recorder: Recorder, clock: Clock) -> None:
    first, second = recorder.spent("boot"), recorder.spent("command")
    first.__enter__()
    clock.now = 10
    second.__enter__()
    clock.now = 15
    first.__exit__(None, None, None)
    clock.now = 22
    second.__exit__(None, None, None)
    assert recorder.take() == {"boot": 15, "command": 7}


def test_what_fails_counts_until_it_failed(recorder: Recorder, clock: Clock) -> None:
    @recorder.spent("apply")
    def fails() -> None:
        clock.now += 4
        raise OSError("the host is gone")

    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            fails()
        clock.now += 1
    assert recorder.take() == {"apply": 8}


def test_what_was_taken_does_not_count_again(recorder: Recorder, clock: Clock) -> None:
    with recorder.spent("wait"):
        clock.now = 5
        assert recorder.take() == {"wait": 5}
        clock.now = 7
    assert recorder.take() == {"wait": 2}
    assert recorder.take() == {}
