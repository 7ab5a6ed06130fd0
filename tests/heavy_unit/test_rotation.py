"""No file rests for five landings, and each landing has about the same amount of work."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.heavy.need.record import LIMIT, Record
from tests.heavy.need.rotation import share
from tests.heavy_unit.records import BASE, passed, record

times = st.dictionaries(st.sampled_from("abcdefghijklmn"), st.floats(1, 900), min_size=1)


@settings(deadline=None)
@given(times, st.data())
def test_every_file_passes_within_five_landings_whatever_changes_touch(seconds, data):
    known = Record(1, BASE, {name: passed(1, took) for name, took in seconds.items()})
    for number in range(2, 16):
        touched = data.draw(st.sets(st.sampled_from(sorted(seconds))))
        turn = share(known, number, list(seconds), [name for name in seconds if name not in touched])
        new = {name: passed(number, seconds[name]) for name in {*touched, *turn}}
        known = known.with_passed(str(number), new)
        assert known.landing == number
        assert known.overdue(list(seconds)) == []


@settings(deadline=None)
@given(times)
def test_a_share_is_a_fifth_of_the_time_and_one_file_at_most(seconds):
    known = Record(1, BASE, {name: passed(1, took) for name, took in seconds.items()})
    turn = share(known, 2, list(seconds), list(seconds))
    assert sum(seconds[name] for name in turn) <= sum(seconds.values()) / LIMIT + max(seconds.values())


def test_the_file_that_passed_longest_ago_comes_first():
    known = record(4, a=4, b=2, c=3, d=4, e=4)
    assert share(known, 5, list(known.passed), list(known.passed)) == ["test_b.py"]


def test_a_file_that_never_passed_has_its_turn():
    known = record(4, a=4, b=2)
    assert "test_new.py" in share(known, 5, [*known.passed, "test_new.py"], [*known.passed, "test_new.py"])


@pytest.mark.parametrize("resting", ["a", "b", "c"])
def test_all_that_is_about_to_be_overdue_has_its_turn(resting):
    known = record(4, a=0, b=0, c=0)
    assert share(known, 5, list(known.passed), [f"test_{resting}.py"]) == [f"test_{resting}.py"]
    assert len(share(known, 5, list(known.passed), list(known.passed))) == 3


def test_of_what_passed_in_this_landing_a_fifth_is_repeated():
    names = list("abcdefghij")
    known = Record(5, BASE, {name: passed(5, 100) for name in names})
    turn = share(known, 5, names, names)
    assert len(turn) == 2
    others = [share(Record(5, f"{number:040}", known.passed), 5, names, names) for number in range(20)]
    assert len({tuple(one) for one in others}) > 5


def test_what_passed_in_an_earlier_landing_comes_before_what_passed_in_this_one():
    known = record(5, a=5, b=5, c=4, d=5, e=5)
    assert share(known, 5, list(known.passed), list(known.passed)) == ["test_c.py"]


def test_a_file_without_a_time_counts_as_the_usual_one():
    known = Record(2, BASE, {"a": passed(1, None), "b": passed(2, 100), "c": passed(2, 100), "d": passed(2, 100)})
    assert share(known, 3, "abcd", "abcd") == ["a"]
