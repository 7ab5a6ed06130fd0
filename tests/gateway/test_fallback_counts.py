"""A migration's fallbacks over all gateways, from what each of them knows."""

from __future__ import annotations

from rackwright.gateway.fallback_counts import Counted, Fallback, GatewayFallbacks, fallbacks_of

HOUR = 497_222


def test_what_one_gateway_has_forgotten_the_other_one_knows() -> None:
    first = GatewayFallbacks(HOUR, {"support": 9}, {("support", "gate1", HOUR): Counted(1, 1)})
    second = GatewayFallbacks(
        HOUR, {"support": 9}, {("support", "gate1", HOUR): Counted(6, 4), ("support", "gate2", HOUR): Counted(2, 2)}
    )
    assert fallbacks_of([first, second]) == (Fallback("support", 9, sent=6, sent_before=0, refused=2),)


def test_the_hour_before_counts_and_older_ones_don_t() -> None:
    counts = {("support", "gate1", HOUR - age): Counted(10**age, 10**age) for age in range(3)}
    (found,) = fallbacks_of([GatewayFallbacks(HOUR, {}, counts)])
    assert found == Fallback("support", 0, sent=1, sent_before=10)
    assert found.alarm == (
        "fallback of support: the cloud got requests that no replica took: 1 in this hour, 10 in the hour before; "
        "it is off now"
    )


def test_a_clock_that_is_a_moment_behind_hides_nothing() -> None:
    late = GatewayFallbacks(HOUR - 1, {"support": 9}, {("support", "gate2", HOUR - 1): Counted(3, 3)})
    first = GatewayFallbacks(HOUR, {"support": 9}, {("support", "gate1", HOUR): Counted(2, 2)})
    assert fallbacks_of([late, first]) == (Fallback("support", 9, sent=2, sent_before=3),)


def test_an_allowance_that_nobody_needed_is_no_alarm() -> None:
    (found,) = fallbacks_of([GatewayFallbacks(HOUR, {"support": 9}, {})])
    assert (found, found.alarm) == (Fallback("support", 9), "")
    assert fallbacks_of([]) == ()
