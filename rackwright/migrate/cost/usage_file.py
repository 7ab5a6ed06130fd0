"""Read a provider's bill: OpenAI's costs or usage as JSON, its dashboard's CSV, or a CSV with months and amounts.

A file comes from elsewhere, so its size is limited, and every line that can't be used is a problem with its number.
"""

from __future__ import annotations

import csv
import json
from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from io import StringIO
from pathlib import Path

from pydantic import JsonValue

from rackwright.errors import FleetError, Problem
from rackwright.migrate.cost.bill import Bill, Source
from rackwright.migrate.plan.prices import Price

MOST_BYTES = 64 * 2**20
MOST_PROBLEMS = 20
_MONTHS = ("month", "date", "day", "start_date", "start_time_iso", "timestamp", "start_time")
_AMOUNTS = ("amount", "cost", "amount_value", "cost_in_major", "usd", "total", "cost_usd")
_CURRENCIES = ("currency", "amount_currency", "cost_currency")
_FORMATS = (
    "a CSV with the columns month (like 2026-11) and amount, OpenAI's dashboard export as CSV, "
    "or pages of its costs or usage API as JSON"
)


@dataclass
class _Reading:
    """Amounts by day or whole month, and problems."""

    name: str
    currency: str
    prices: Mapping[str, Price]
    days: dict[date, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    whole: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, where: object, what: str, should: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(f"{self.name}:{where}", what, should))

    def bill(self, source: Source) -> Bill:
        """Raise FleetError with every problem."""
        if not self.problems and not (self.days or self.whole):
            self.problems.append(Problem(self.name, "has no amount", _FORMATS))
        if mixed := {f"{day:%Y-%m}" for day in self.days} & set(self.whole):
            self.wrong(sorted(mixed)[0], "is there as a month and by days", "should be one of these")
        if self.problems:
            raise FleetError(self.problems)
        months, covered = dict(self.whole), {month: _days_of(month) for month in self.whole}
        for day, amount in self.days.items():
            months[f"{day:%Y-%m}"] = months.get(f"{day:%Y-%m}", Decimal(0)) + amount
        for day in _from_first_to_last(self.days):
            covered[f"{day:%Y-%m}"] = covered.get(f"{day:%Y-%m}", 0) + 1
        return Bill(source, dict(sorted(months.items())), dict(sorted(covered.items())))


def read_usage(path: Path, currency: str, prices: Mapping[str, Price]) -> Bill:
    """Return the bill. Raise FleetError with every problem and its line if the file can't be read or used."""
    text = _text(path)
    reading = _Reading(str(path), currency, prices)
    if text.lstrip()[:1] in ("{", "["):
        return reading.bill(_json(text, reading))
    _csv(text, reading)
    return reading.bill("csv")


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise FleetError([Problem(str(path), "no such file", _FORMATS)])
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise FleetError([Problem(str(path), f"can't be read: {error.strerror}")]) from None
    if len(data) > MOST_BYTES:
        raise FleetError([Problem(str(path), "is too large", f"should be at most {MOST_BYTES // 2**20} MiB")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FleetError([Problem(f"{path}:{line}", "is not UTF-8", "save it as UTF-8")]) from None


def _csv(text: str, reading: _Reading) -> None:
    try:
        rows = list(csv.reader(StringIO(text, newline=""), delimiter=_delimiter(text)))
    except csv.Error as error:
        reading.wrong(1, f"is no CSV: {error}", _FORMATS)
        return
    heads = [cell.strip().lower() for cell in rows[0]] if rows else []
    when, amount, currency = (_column(heads, names) for names in (_MONTHS, _AMOUNTS, _CURRENCIES))
    if when is None or amount is None:
        reading.wrong(1, f"has the columns {', '.join(heads)[:200] or 'none'}", _FORMATS)
        return
    for number, row in enumerate(rows[1:], 2):
        if any(cell.strip() for cell in row):
            _row(reading, number, row, when, amount, currency)


def _delimiter(text: str) -> str:
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)


def _column(heads: list[str], names: tuple[str, ...]) -> int | None:
    return next((heads.index(name) for name in names if name in heads), None)


def _row(reading: _Reading, number: int, row: list[str], when: int, amount: int, currency: int | None) -> None:
    if len(row) <= max(when, amount, currency or 0):
        reading.wrong(number, f"has {len(row)} columns", "should have as many as the first line")
        return
    if currency is not None and row[currency].strip().upper() != reading.currency:
        reading.wrong(number, f"is in {row[currency].strip()[:10]!r}", f"should be in the plan's {reading.currency}")
        return
    found, day = _amount(row[amount]), _moment(row[when].strip())
    if found is None:
        reading.wrong(number, f"has the amount {row[amount][:40]!r}", "should be a number like 1234.56")
    elif day is None:
        reading.wrong(number, f"has the time {row[when][:40]!r}", "should be a month like 2026-11 or a day")
    elif isinstance(day, str):
        reading.whole[day] += found
    else:
        reading.days[day] += found


def _amount(text: str) -> Decimal | None:
    try:
        # Python also takes 1_000 and digits of other scripts.
        found = Decimal(text.strip()) if text.isascii() and "_" not in text else Decimal("NaN")
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found) < Decimal(10) ** 12 else None


def _moment(text: str) -> date | str | None:
    """Return a day, or a month as text; None: it is neither."""
    try:
        if len(text) == len("2026-11"):
            return f"{datetime.strptime(text, '%Y-%m').replace(tzinfo=UTC):%Y-%m}"
        # Ten digits are Unix seconds; eight are a day without dashes.
        if len(text) == len("1775001600") and text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC).date()
        return datetime.fromisoformat(text).date()
    except (ValueError, OverflowError, OSError):
        return None


def _json(text: str, reading: _Reading) -> Source:
    source: Source = "openai costs"
    for page, found in enumerate(_pages(text, reading), 1):
        buckets = found.get("data")
        for number, bucket in enumerate(buckets if isinstance(buckets, list) else (), 1):
            place = f"page {page}, bucket {number}"
            if not isinstance(bucket, dict) or not isinstance(bucket.get("results"), list):
                reading.wrong(place, "is no bucket of the costs or usage API", _FORMATS)
                continue
            day = _moment(str(bucket.get("start_time")))
            if not isinstance(day, date):
                reading.wrong(place, "has no start_time", "should be Unix seconds")
                continue
            for result in _results(bucket["results"]):
                if result.get("object") == "organization.costs.result":
                    _cost(reading, place, day, result)
                else:
                    source = "openai usage"
                    _usage(reading, place, day, result)
            reading.days[day] += 0
    return source


def _pages(text: str, reading: _Reading) -> Iterator[Mapping[str, JsonValue]]:
    """Yield the pages: one object, an array of them, or one on each line."""
    try:
        whole = json.loads(text)
        found = whole if isinstance(whole, list) else [whole]
    except (ValueError, RecursionError):
        found = []
        for number, line in enumerate(text.split("\n"), 1):
            try:
                found += [json.loads(line)] if line.strip() else []
            except (ValueError, RecursionError):
                reading.wrong(number, "is not JSON", _FORMATS)
                return
    for page in found:
        if isinstance(page, dict):
            yield page
        else:
            reading.wrong(1, "is no page of the costs or usage API", _FORMATS)


def _results(found: JsonValue) -> Iterator[Mapping[str, JsonValue]]:
    for result in found if isinstance(found, list) else ():
        if isinstance(result, dict):
            yield result


def _cost(reading: _Reading, place: str, day: date, result: Mapping[str, JsonValue]) -> None:
    amount = result.get("amount")
    value = _amount(str(amount.get("value"))) if isinstance(amount, dict) else None
    currency = str(amount.get("currency", "")).upper() if isinstance(amount, dict) else ""
    if value is None:
        reading.wrong(place, "has no amount", "should have amount.value and amount.currency")
    elif currency != reading.currency:
        reading.wrong(place, f"is in {currency[:10]!r}", f"should be in the plan's {reading.currency}")
    else:
        reading.days[day] += value


def _usage(reading: _Reading, place: str, day: date, result: Mapping[str, JsonValue]) -> None:
    model = result.get("model")
    price = reading.prices.get(str(model))
    counts = [_count(result.get(name)) for name in ("input_tokens", "output_tokens", "input_cached_tokens")]
    if price is None:
        reading.wrong(
            place,
            f"has no price for the model {str(model)[:60]!r}",
            "should be in prices of the plan; group usage by model",
        )
    elif None in counts:
        reading.wrong(place, "has no token counts", "should have input_tokens and output_tokens")
    else:
        reading.days[day] += price.of(*(count or 0 for count in counts))


def _count(value: JsonValue) -> int | None:
    if value is None:
        return 0
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else None


def _days_of(month: str) -> int:
    """Return the days of it that are over: the bill of the present month isn't one of a whole month."""
    year, number = map(int, month.split("-"))
    now = today()
    return now.day if (now.year, now.month) == (year, number) else monthrange(year, number)[1]


def today() -> date:
    return datetime.now(UTC).date()


def _from_first_to_last(days: Mapping[date, object]) -> Iterator[date]:
    """Yield every day: one without an amount cost nothing."""
    if days:
        first, last = min(days), max(days)
        yield from (first + timedelta(number) for number in range((last - first).days + 1))
