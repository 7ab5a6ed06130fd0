"""Which host starts, which host asks which, and which hosts let others pass."""

from __future__ import annotations

from rackwright.lifecycle.p2p.chain import before, chain, first_of, gaps, overtaken

HOSTS = ("a", "b", "c", "d", "e", "f", "g")
TOTAL = 10**9


def test_a_host_that_has_the_files_begins_before_the_one_that_would_fetch_them() -> None:
    assert first_of(HOSTS, (), None) == "a"
    assert first_of(HOSTS, (), "c") == "c"
    assert first_of(HOSTS, ("b", "d"), None) == "b"
    assert first_of(HOSTS, ("b", "d"), "d") == "d"
    assert first_of(HOSTS, ("b", "d"), "c") == "b"
    assert first_of(HOSTS, (), "elsewhere") == "a"


def test_each_host_asks_the_one_before_it_then_earlier_ones_and_at_last_the_first() -> None:
    order = chain(HOSTS, "c")
    assert order == ("c", "a", "b", "d", "e", "f", "g")
    assert before(order, "c") == ()
    assert before(order, "a") == ("c",)
    assert before(order, "b") == ("a", "c")
    assert before(order, "g") == ("f", "e", "d", "b", "c")


def test_hosts_that_follow_one_another_closely_stay_in_their_order() -> None:
    arrived = {"a": TOTAL, "b": 500_000_000, "c": 490_000_000, "d": 430_000_000}
    assert overtaken("abcd", arrived, TOTAL, {}) == ("a", "b", "c", "d")


def test_a_slow_host_goes_behind_those_that_wait_for_it() -> None:
    arrived = {"a": TOTAL, "b": 500_000_000, "c": 200_000_000, "d": 190_000_000, "e": 190_000_000}
    assert overtaken("abcde", arrived, TOTAL, {}) == ("a", "b", "d", "e", "c")


def test_a_slow_host_that_holds_up_no_other_stays_where_it_is() -> None:
    arrived = {"a": TOTAL, "b": 700_000_000, "c": 600_000_000, "d": 200_000_000}
    assert overtaken("abcd", arrived, TOTAL, {}) == ("a", "b", "c", "d")
    assert overtaken("abcde", arrived | {"e": TOTAL}, TOTAL, {}) == ("a", "b", "c", "d", "e")


def test_the_first_hop_is_never_far_behind_at_the_start() -> None:
    """The first host has everything from the start: a distance from it doesn't show which host is slow."""
    arrived = {"a": TOTAL, "b": 10_000_000, "c": 9_000_000, "d": 8_000_000}
    assert overtaken("abcd", arrived, TOTAL, {}) == ("a", "b", "c", "d")


def test_a_host_that_moves_up_is_not_slow_for_being_behind_from_the_start() -> None:
    arrived = {"a": TOTAL, "b": 500_000_000, "c": 200_000_000, "d": 190_000_000, "e": 180_000_000}
    order = overtaken("abcde", arrived, TOTAL, {})
    then = gaps(order, arrived)
    later = arrived | {"b": 700_000_000, "c": 210_000_000, "d": 390_000_000, "e": 380_000_000}
    assert overtaken(order, later, TOTAL, then) == order == ("a", "b", "d", "e", "c")
    slower = later | {"d": 200_000_000, "e": 190_000_000}
    assert overtaken(order, slower, TOTAL, then) == ("a", "b", "e", "c", "d")
