"""Costs, against figures that were calculated by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rackwright.cli.render.migrate_report.cost_text import as_text
from rackwright.migrate.cost.bill import Bill
from rackwright.migrate.cost.comparison import Costed, break_even, compare, cumulated
from rackwright.migrate.plan.prices import Costs

COSTS = Costs(capital=72_000, months=36, kilowatts=2, kilowatt_hour=0.25, staff=1000, hosting=100)
"""Per month: hardware 2,000, power 2 x 730.5 x 0.25 = 365.25, staff 1,000, hosting 100."""


def costed(monthly: str) -> Costed:
    # April has 30 days, so a month of 30.4375 days costs 30.4375 / 30 as much.
    return compare(Bill("csv", {"2026-04": Decimal(monthly)}, {"2026-04": 30}), COSTS, "EUR")


def test_every_figure_is_the_calculated_one():
    found = costed("6000")
    assert found.bill == 6087.50
    assert (found.hardware, found.power, found.staff, found.hosting) == (2000, 365.25, 1000, 100)
    assert (found.running, found.fleet) == (1465.25, 3465.25)
    # 6,087.50 - 3,465.25; 72,000 / (6,087.50 - 1,465.25) = 15.58.
    assert (found.case.saved, found.case.break_even) == (2622.25, 16)


def test_bill_and_costs_are_each_varied():
    found = {(case.bill_percent, case.costs_percent): case for case in costed("6000").cases}
    assert len(found) == 9
    # Bill 4,870.00, costs 4,158.30; 86,400 / (4,870.00 - 1,758.30) = 27.77.
    assert (found[-20, 20].saved, found[-20, 20].break_even) == (711.70, 28)
    # Bill 7,305.00, costs 2,772.20; 57,600 / (7,305.00 - 1,172.20) = 9.39.
    assert (found[20, -20].saved, found[20, -20].break_even) == (4532.80, 10)


def test_a_bill_that_is_lower_than_the_running_costs_never_breaks_even():
    found = costed("1400")
    assert (found.bill, found.case.break_even) == (1420.42, None)
    said = "\n".join(as_text(found))
    assert "the fleet costs 2,044.83 EUR a month more than the cloud" in said
    assert "it never breaks even" in said


def test_a_fleet_that_costs_more_per_month_may_still_break_even_after_its_hardware_is_written_off():
    said = "\n".join(as_text(costed("3000")))
    assert "note: the hardware is written off after 36 months, before it breaks even" in said


@pytest.mark.parametrize(
    ("bill", "capital", "running", "months"),
    [(10, 100, 0, 10), (10, 101, 0, 11), (10, 0, 5, 0), (5, 0, 5, 0), (5, 1, 5, None), (5.01, 1000, 5, None)],
)
def test_break_even(bill, capital, running, months):
    assert break_even(Decimal(str(bill)), Decimal(capital), Decimal(running)) == months


@given(st.integers(0, 10**6), st.integers(0, 10**8), st.integers(0, 10**6))
def test_at_break_even_the_fleet_has_cost_no_more_and_a_month_earlier_it_had(bill, capital, running):
    months = break_even(Decimal(bill), Decimal(capital), Decimal(running))
    if months is None:
        assert capital + 600 * running > 600 * bill or (bill <= running)
    else:
        assert capital + months * running <= months * bill
        assert months == 0 or capital + (months - 1) * running > (months - 1) * bill


def test_costs_cumulate():
    found = costed("6000")
    assert cumulated(found, 2) == ((0, 0, 72_000), (1, 6087.5, 73_465.25), (2, 12_175, 74_930.5))


def test_a_month_is_the_mean_of_all_days():
    bill = Bill("csv", {"2026-01": Decimal(310), "2026-02": Decimal(280)}, {"2026-01": 31, "2026-02": 28})
    assert bill.monthly == Decimal("304.375")
