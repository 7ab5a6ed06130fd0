"""A comparison of costs is stored; the plan has every price."""

from __future__ import annotations

import pytest

from rackwright.cli.render.migrate_report.cost_text import doubts
from rackwright.errors import FleetError
from rackwright.lifecycle.migrate.cost import cost
from rackwright.migrate.cost.comparison import Costed
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from tests.lifecycle.migrate.desks import Desk

COSTS = "costs: {capital: 72000, months: 36, kilowatts: 2, kilowatt_hour: 0.25, staff: 1000, hosting: 100}\n"


def test_the_bill_of_a_file_is_compared_and_stored(desk: Desk) -> None:
    desk.edit("currency: EUR", f"{COSTS}currency: EUR")
    usage = desk.folder / "usage.csv"
    usage.write_text("month,amount\n2026-04,6000\n")
    found = cost(desk.open(), usage)
    assert (found.bill, found.fleet, found.case.break_even, found.computed) == (6087.5, 3465.25, 16, False)
    assert desk.open().result("cost", Costed) == found
    assert desk.open().entries()[-1].what == "bill from csv; +2622.25 EUR a month, break-even after 16 months"


def test_without_a_file_the_bill_is_computed_and_says_so(desk: Desk) -> None:
    desk.edit("currency: EUR", f"{COSTS}currency: EUR")
    one = RecordedRequest(
        id="a",
        arrived=1_775_001_600,
        path="/v1",
        model="gpt-4o-mini",
        body={},
        origin="capture",
        prompt_tokens=1_000_000,
        completion_tokens=500_000,
    )
    desk.open().folder.write("requests", [one.model_dump_json()])
    found = cost(desk.open())
    # 10 x (0.15 + 0.30) on the only day that is known.
    assert (found.source, found.computed, found.sampled) == ("recorded tokens", True, 10)
    assert found.months == {"2026-04": 4.5}
    assert found.bill == 136.97
    assert found.case.break_even is None


def test_an_answer_that_was_not_counted_costs_as_much_as_the_mean_of_the_replay(desk: Desk) -> None:
    """Its limit is what it may cost, not what it does."""
    desk.edit("currency: EUR", f"{COSTS}currency: EUR")
    logs = [
        RecordedRequest(
            id=f"r{number}",
            arrived=1_775_001_600,
            path="/v1/chat/completions",
            model="gpt-4o-mini",
            body={"max_tokens": 100_000_000},
            origin="jsonl",
            prompt_tokens=0,
        )
        for number in range(4)
    ]
    desk.open().folder.write("requests", [one.model_dump_json() for one in logs])
    # 0.60 per million: 60 for each at its limit.
    found = cost(desk.open())
    assert found.months == {"2026-04": 240}
    assert list(doubts(found))[1].startswith("lengths of answers: 4 taken as the request's limit, because the replay")
    answers = [
        ReplayedAnswer(request=f"r{number}", asked="cloud", status=200, completion_tokens=tokens)
        for number, tokens in enumerate((1_000_000, 3_000_000))
    ]
    desk.open().folder.write("answers-cloud", [one.model_dump_json() for one in answers])
    found = cost(desk.open())
    assert found.months == {"2026-04": pytest.approx(0.6 + 1.8 + 2 * 1.2)}
    assert found.answers == {"counted": 2, "mean": 2}
    assert "2 counted by the provider; 2 taken as the mean of the model's answers" in list(doubts(found))[1]


def test_a_plan_without_costs_is_refused(desk: Desk) -> None:
    with pytest.raises(FleetError, match="has no costs"):
        cost(desk.open())


def test_an_imported_log_is_no_sample(desk: Desk) -> None:
    desk.edit("currency: EUR", f"{COSTS}currency: EUR")
    log = RecordedRequest(
        id="a", arrived=1_775_001_600, path="/v1", model="gpt-4o-mini", body={}, origin="jsonl", prompt_tokens=5
    )
    desk.open().folder.write("requests", [log.model_dump_json()])
    found = cost(desk.open())
    assert found.sampled == 100
    assert next(iter(doubts(found))).startswith("the bill is computed from recorded requests and the plan's prices")
