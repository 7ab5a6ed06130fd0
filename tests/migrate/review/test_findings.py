"""Each promise against what is measured."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rackwright.migrate.capacity.result import ModelCapacity
from rackwright.migrate.cost.bill import Bill
from rackwright.migrate.cost.comparison import Costed, compare
from rackwright.migrate.features.summary import Tokens
from rackwright.migrate.plan.prices import Costs, Price
from rackwright.migrate.review.hourly import Hour, Hours
from rackwright.migrate.review.of_capacity import of_capacity
from rackwright.migrate.review.of_cost import Charged, Rates, charged, of_cost
from rackwright.migrate.review.of_score import of_score
from rackwright.migrate.review.promises import Finding
from rackwright.verdict import Word
from tests.lifecycle.migrate.cutover.test_ready import capacity
from tests.lifecycle.migrate.review.reviewable import score

WHEN = datetime(2026, 11, 8, tzinfo=UTC)
PRICES = {"a": Price(input=10, output=20)}


def hour(number: int, requests: int, *, side: str = "fleet", counted: int | None = None) -> Hour:
    """Return one with 1,000 tokens in and 100 out of each counted request: 0.012 each."""
    known = requests if counted is None else counted
    return Hour(number, "a", side, requests, requests, known, 1000 * known, 100 * known)


def hours(*rows: Hour, begins: float = 0, ends: int = 48) -> Hours:
    return Hours(begins, ends * 3600, rows)


def model(*, headroom: float = 0, spare: int = 0, goodput: float | None = 10) -> ModelCapacity:
    found = capacity(8, goodput, spare=spare).models[0]
    size = found.extrapolated.model_copy(update={"headroom": headroom, "peaks": {"60": 8, "3600": 4}})
    return found.model_copy(update={"instead_of": ("a",), "extrapolated": size})


def found_of(*rows: Hour, replicas: int = 1, share: float = 100, promised: ModelCapacity | None = None) -> Finding:
    return of_capacity(promised or model(), share, replicas, hours(*rows), 0)


@pytest.mark.parametrize(
    ("word", "margin", "state"),
    [
        (Word.PASS, 5, "kept"),
        (Word.FAIL, 5, "broken"),
        (Word.INCONCLUSIVE, 5, "open"),
        (Word.PASS, 9, "open"),
        (Word.FAIL, 9, "broken"),
    ],
)
def test_a_score_is_judged_by_its_word_and_the_promised_margin(word: Word, margin: float, state: str) -> None:
    now = score(-0.04, word).model_copy(update={"margin": margin})
    found = of_score(score(0.01), now, WHEN, "again")
    assert (found.state, found.promised, found.measured, found.limit) == (state, 1, -4, -5)
    assert ("9 points, and 5 was promised" in found.why) is (margin == 9 and word is Word.PASS)


def test_the_busiest_hour_of_all_gateways_is_compared_with_the_hour_that_was_expected() -> None:
    rows = (hour(1, 18_000), hour(2, 10_800), hour(2, 10_800), hour(3, 99_999, side="cloud"))
    found = found_of(*rows)
    assert (found.state, found.promised, found.measured, found.limit) == ("kept", 4, 6, 10)


@pytest.mark.parametrize(
    ("headroom", "spare", "replicas", "limit", "state"),
    [(0, 0, 1, 10, "kept"), (50, 0, 1, 5, "broken"), (0, 1, 1, 0, "broken"), (50, 1, 3, 10, "kept")],
)
def test_headroom_and_spare_replicas_stay_free(
    headroom: float, spare: int, replicas: int, limit: float, state: str
) -> None:
    promised = model(headroom=headroom, spare=spare)
    found = found_of(hour(1, 21_600), replicas=replicas, promised=promised)
    assert (found.limit, found.state) == (limit, state)


def test_a_share_expects_as_much_of_the_peak() -> None:
    assert found_of(hour(1, 3600), share=25).promised == 1


def test_an_hour_that_is_not_whole_says_nothing() -> None:
    assert of_capacity(model(), 100, 1, hours(hour(0, 99_999), ends=1, begins=1), 0).state == "not measured"
    assert found_of(hour(48, 99_999)).state == "not measured"
    assert found_of(hour(1, 9, side="cloud")).why == "no client asked the fleet in 48 hours"
    assert found_of(hour(1, 9), promised=model(goodput=None)).state == "open"


def test_traffic_is_scaled_to_a_month_and_tokens_are_the_providers() -> None:
    rows = (hour(5, 1000), hour(6, 500, side="cloud"), hour(7, 500, side="fallback"), hour(48, 9999))
    found = charged(Rates(PRICES), hours(*rows), 0)
    assert isinstance(found, Charged)
    assert (found.fleet, found.cloud) == (Decimal("182.625"), Decimal("182.625"))


def test_streams_cost_what_recorded_ones_do_else_what_counted_ones_do() -> None:
    rows = hours(hour(5, 1000, counted=100))
    recorded = {"a": Tokens(known_requests=20, prompt=20 * 2000, completion=20 * 200)}
    dear, cheap = charged(Rates(PRICES, recorded), rows, 0), charged(Rates(PRICES), rows, 0)
    assert isinstance(dear, Charged)
    assert isinstance(cheap, Charged)
    assert dear.fleet == (Decimal("1.2") + 900 * Decimal("0.024")) * Decimal("730.5") / 48
    assert cheap.fleet == 12 * Decimal("730.5") / 48
    assert "tokens of 100 counted, of 900 taken as the mean" in cheap.why


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (hours(hour(5, 1000, counted=19)), "the tokens of requests for a aren't known"),
        (hours(hour(5, 1000), ends=23), "since the last step, 23 hours are over; at least 24 are needed"),
        (hours(), "no request was answered in 48 hours"),
    ],
)
def test_what_can_t_be_said_of_costs_has_a_reason(rows: Hours, why: str) -> None:
    found = charged(Rates(PRICES), rows, 0)
    assert isinstance(found, str)
    assert found.startswith(why)


def costed(bill: int) -> Costed:
    costs = Costs(capital=0, kilowatts=0, kilowatt_hour=0, staff=100)
    return compare(Bill("csv", {"2026-10": Decimal(bill)}, {"2026-10": 30}), costs, "EUR")


@pytest.mark.parametrize(
    ("bill", "fleet", "cloud", "whole", "state"),
    [
        (300, 200, 0, True, "kept"),
        (300, 90, 0, True, "broken"),
        (300, 90, 500, True, "broken"),
        (300, 90, 500, False, "open"),
        (50, 90, 0, True, "no limit"),
    ],
)
def test_only_a_promise_to_save_can_be_broken(bill: int, fleet: int, cloud: int, whole: bool, state: str) -> None:
    found = of_cost(costed(bill), 100, Charged(Decimal(fleet), Decimal(cloud), "x"), 50, whole)
    assert [one.of for one in found] == [
        "the fleet",
        "the cloud for the same traffic",
        "what the cloud still gets",
        "saved",
    ]
    assert (found[1].measured, found[2].measured, found[3].measured) == (fleet + cloud, cloud, fleet - 100)
    assert found[2].promised == pytest.approx(bill * 30.4375 / 30 / 2, abs=0.01)
    assert found[3].state == state


def test_costs_that_aren_t_measured_are_no_figures() -> None:
    _, *others = of_cost(costed(300), 100, "too early", 100, True)
    assert [(one.measured, one.state, one.why) for one in others] == [(None, "not measured", "too early")] * 3
