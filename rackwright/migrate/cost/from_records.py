"""A bill that is computed from recorded requests and the plan's prices."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from rackwright.errors import RackwrightError
from rackwright.migrate.capacity.answer_lengths import AnswerLengths
from rackwright.migrate.capacity.lengths import Basis, length_of
from rackwright.migrate.cost.bill import Bill
from rackwright.migrate.plan.prices import Price
from rackwright.migrate.recorded_request import RecordedRequest


def bill_of_records(
    requests: Iterable[RecordedRequest], prices: Mapping[str, Price], *, answers: AnswerLengths, share: float
) -> Bill:
    """Return the bill of the recorded requests with a known time; those of a capture stand for 100 / `share` each.

    `answers`: what replays say about answers that weren't counted when they were recorded. Raise RackwrightError if a
    model has no price, or no time is known.
    """
    days: dict[date, Decimal] = defaultdict(Decimal)
    bases: Counter[Basis] = Counter()
    for request in requests:
        if request.model not in prices:
            raise RackwrightError(
                f"the plan has no price of {request.model}",
                where="prices",
                should="should have the provider's price per million tokens",
            )
        if request.arrived is not None:
            length = length_of(request, answers)
            bases[length.basis] += 1
            times = Decimal(100) / Decimal(str(share)) if request.origin == "capture" else Decimal(1)
            day = datetime.fromtimestamp(request.arrived, UTC).date()
            days[day] += prices[request.model].of(length.prompt, length.answer) * times
    if not days:
        raise RackwrightError(
            "no recorded request has a time of arrival, so no monthly bill can be computed",
            next="give the provider's bill with --usage FILE",
        )
    return _bill(days, bases)


def _bill(days: Mapping[date, Decimal], bases: Mapping[Basis, int]) -> Bill:
    months: dict[str, Decimal] = defaultdict(Decimal)
    covered: dict[str, int] = defaultdict(int)
    for day, amount in days.items():
        months[f"{day:%Y-%m}"] += amount
    for number in range((max(days) - min(days)).days + 1):
        covered[f"{min(days) + timedelta(number):%Y-%m}"] += 1
    return Bill("recorded tokens", dict(sorted(months.items())), dict(sorted(covered.items())), dict(bases))
