"""Bills in each format, and what is wrong with others."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from rackwright.errors import FleetError, RackwrightError
from rackwright.migrate.capacity.answer_lengths import AnswerLengths
from rackwright.migrate.cost import usage_file
from rackwright.migrate.cost.bill import Bill
from rackwright.migrate.cost.from_records import bill_of_records
from rackwright.migrate.cost.usage_file import MOST_BYTES, MOST_PROBLEMS, read_usage
from rackwright.migrate.plan.prices import Price
from rackwright.migrate.recorded_request import RecordedRequest

PRICES = {"gpt-4o": Price(input=2.5, output=10, cached_input=1.25)}
DAY = 1_775_001_600  # 2026-04-01


def read(path: Path, text: str | bytes, currency: str = "USD") -> Bill:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_usage(path, currency, PRICES)


def problems(path: Path, text: str | bytes) -> list[str]:
    with pytest.raises(FleetError) as caught:
        read(path, text)
    return [f"{problem.where.removeprefix(str(path))} {problem.what}" for problem in caught.value.problems]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "usage"


def test_a_csv_of_months_is_read(file):
    found = read(file, "month,amount\n2026-04,3000\n2026-05,3100.50\n")
    assert found.months == {"2026-04": 3000, "2026-05": Decimal("3100.50")}
    assert (found.source, found.days) == ("csv", {"2026-04": 30, "2026-05": 31})


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffdate,amount_value,amount_currency\r\n2026-04-01,1.5,usd\r\n2026-04-03,2.5,USD\r\n",
        "start_time;cost;currency\n1775001600;1.5;usd\n1775174400;2.5;usd\n",
        "start_time_iso\tamount_value\n2026-04-01T00:00:00+00:00\t1.5\n\n2026-04-03T00:00:00+00:00\t2.5\n",
    ],
)
def test_a_dashboards_csv_of_days_is_read(file, text):
    found = read(file, text)
    assert (found.months, found.days) == ({"2026-04": 4}, {"2026-04": 3})


def costs(day: int, *values: float, currency: str = "usd") -> dict[str, object]:
    results = [{"object": "organization.costs.result", "amount": {"value": v, "currency": currency}} for v in values]
    return {"object": "bucket", "start_time": DAY + day * 86_400, "results": results}


def test_pages_of_the_costs_api_are_read_as_one_object_an_array_or_lines(file):
    pages = [{"object": "page", "data": [costs(0, 0.06, 1), costs(1)]}, {"object": "page", "data": [costs(2, 2)]}]
    for text in (json.dumps(pages), "\n".join(map(json.dumps, pages))):
        found = read(file, text)
        assert (found.source, found.months, found.days) == (
            "openai costs",
            {"2026-04": Decimal("3.06")},
            {"2026-04": 3},
        )
    assert read(file, json.dumps(pages[0])).total == Decimal("1.06")


def test_usage_is_computed_with_the_plans_prices(file):
    counts = {"input_tokens": 1_000_000, "input_cached_tokens": 400_000, "output_tokens": 100_000}
    result = {"object": "organization.usage.completions.result", "model": "gpt-4o", **counts}
    found = read(file, json.dumps({"data": [{"start_time": DAY, "results": [result]}]}))
    # 0.6 x 2.50 + 0.4 x 1.25 + 0.1 x 10.
    assert (found.source, found.total) == ("openai usage", 3)


def test_every_problem_has_its_line(file):
    found = problems(
        file, "month,amount,currency\n2026-13,1,USD\n2026-04,x,USD\n2026-04\n2026-05,1,EUR\n2026-06,NaN,USD\n"
    )
    assert found == [
        ":2 has the time '2026-13'",
        ":3 has the amount 'x'",
        ":4 has 1 columns",
        ":5 is in 'EUR'",
        ":6 has the amount 'NaN'",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ":1 has the columns none"),
        ("a,b\n1,2\n", ":1 has the columns a, b"),
        ("month,amount\n", " has no amount"),
        ("{", ":1 is not JSON"),
        ("[1]", ":1 is no page of the costs or usage API"),
        ("[" * 100_000, ":1 is not JSON"),
        ('{"data": [3]}', ":page 1, bucket 1 is no bucket of the costs or usage API"),
        ('{"data": [{"results": []}]}', ":page 1, bucket 1 has no start_time"),
        (b"month,amount\n2026-04,\xff\n", ":2 is not UTF-8"),
        ("date,amount\n2026-04,1\n2026-04-02,1\n", ":2026-04 is there as a month and by days"),
    ],
)
def test_what_is_no_bill_is_refused(file, text, problem):
    assert problem in problems(file, text)


def test_another_currency_or_an_unknown_model_is_refused(file):
    assert problems(file, json.dumps({"data": [costs(0, 1, currency="eur")]})) == [":page 1, bucket 1 is in 'EUR'"]
    usage = {"data": [{"start_time": DAY, "results": [{"object": "x", "model": "gpt-9"}]}]}
    assert problems(file, json.dumps(usage)) == [":page 1, bucket 1 has no price for the model 'gpt-9'"]


def test_problems_and_sizes_are_limited(file, monkeypatch):
    assert len(problems(file, "month,amount\n" + "x,1\n" * 1000)) == MOST_PROBLEMS
    monkeypatch.setattr("rackwright.migrate.cost.usage_file.MOST_BYTES", 10)
    assert problems(file, "month,amount\n2026-04,1\n") == [" is too large"]
    assert MOST_BYTES > 10
    with pytest.raises(FleetError, match="no such file"):
        read_usage(file.with_name("missing"), "USD", PRICES)


def recorded(name: str, day: int, **said: object) -> RecordedRequest:
    known = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "origin": "capture", "model": "gpt-4o"}
    return RecordedRequest(id=name, arrived=DAY + day * 86_400, path="/v1", body={}, **(known | said))


def test_recorded_tokens_are_scaled_by_the_share():
    timeless = recorded("c", 0).model_copy(update={"arrived": None})
    ours = [recorded("a", 0), recorded("b", 30, origin="jsonl"), timeless]
    found = bill_of_records(ours, PRICES, answers=AnswerLengths({"b": 200_000}), share=10)
    # 10 x (2.50 + 1.00), and 2.50 + 2.00.
    assert found.months == {"2026-04": 35, "2026-05": Decimal("4.5")}
    assert found.days == {"2026-04": 30, "2026-05": 1}


def test_a_model_without_a_price_is_refused():
    with pytest.raises(RackwrightError, match="no price of gpt-9"):
        bill_of_records([recorded("a", 0, model="gpt-9")], PRICES, answers=AnswerLengths(), share=100)
    with pytest.raises(RackwrightError, match=r"has a time of arrival(.|\n)*next: .*--usage FILE"):
        bill_of_records([], PRICES, answers=AnswerLengths(), share=100)


@pytest.mark.parametrize(
    ("when", "problem"), [("202604", ":2 has the time '202604'"), ("177500160", ":2 has the time '177500160'")]
)
def test_a_number_that_is_no_time_is_refused(file: Path, when: str, problem: str) -> None:
    """As Unix seconds it would be in the year 1970, and the bill would cover fifty years."""
    assert problems(file, f"date,amount\n{when},5\n") == [problem]


def test_a_day_without_dashes_is_one(file: Path) -> None:
    assert read(file, "date,amount\n20260401,5\n1775001600,5\n").months == {"2026-04": 10}


@pytest.mark.parametrize("amount", ["1_000", "\u0661\u0662", "1.234,56", "=1+1", "1,234.5"])
def test_what_is_no_plain_number_is_refused(file: Path, amount: str) -> None:
    assert problems(file, f"month;amount\n2026-04;{amount}\n") == [f":2 has the amount {amount!r}"]


def test_the_month_that_is_not_over_has_the_days_until_today(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a whole month it would make the provider look cheap, and the fleet dear."""
    monkeypatch.setattr(usage_file, "today", lambda: date(2026, 5, 3))
    found = read(file, "month,amount\n2026-04,3000\n2026-05,300\n")
    assert found.days == {"2026-04": 30, "2026-05": 3}
    assert found.monthly == Decimal(100) * Decimal("30.4375")
