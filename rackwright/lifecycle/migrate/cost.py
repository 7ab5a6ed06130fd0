"""Compare the provider's bill with what the fleet costs, and store the result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rackwright.errors import FleetError, Problem, RackwrightError
from rackwright.lifecycle.migrate.place import Place, plan_path
from rackwright.migrate.capacity.answer_lengths import answer_lengths
from rackwright.migrate.cost.comparison import Costed, compare
from rackwright.migrate.cost.from_records import bill_of_records
from rackwright.migrate.cost.usage_file import read_usage
from rackwright.migrate.lines import lines_in
from rackwright.migrate.plan.prices import Costs
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.report.words import counted


def cost(place: Place, usage: Path | None = None) -> Costed:
    """Compare the bill in `usage`, else one that is computed from recorded requests, with the plan's costs.

    Raise FleetError with every problem if the plan has no costs or the file can't be used, RackwrightError if there
    are no recorded requests to compute from.
    """
    plan, costs = place.plan, _costs(place)
    if usage:
        found = compare(read_usage(usage, plan.currency, plan.prices), costs, plan.currency)
    else:
        found = _of_records(place, costs)
    saved = f"{found.case.saved:+.2f} {found.currency} a month"
    when = "never" if found.case.break_even is None else f"after {counted(found.case.break_even, 'month')}"
    place.note("cost", f"bill from {found.source}; {saved}, break-even {when}", found)
    return found


def _costs(place: Place) -> Costs:
    if place.plan.costs is None:
        path, name = plan_path(place.session.fleet, place.plan.migration), place.plan.migration
        should = "should have capital, kilowatts, kilowatt_hour and staff"
        next_ = f"add them, then rackwright migrate cost {name}"
        raise FleetError([Problem(str(path), "has no costs, which migrate cost needs", should, next_)])
    return place.plan.costs


def _of_records(place: Place, costs: Costs) -> Costed:
    place.need_folder()
    plan, answers = place.plan, answer_lengths(place.folder)
    requests = (request for _, request in lines_in(place.folder, "requests", RecordedRequest))
    wanted = (request for request in requests if request.model in plan.models)
    origins: set[str] = set()
    recorded = _noting(wanted, origins)
    try:
        bill = bill_of_records(recorded, plan.prices, answers=answers, share=plan.capture.share)
    except RackwrightError as error:
        should, next_ = "name the provider's bill", f"rackwright migrate cost {plan.migration} --usage FILE"
        raise error.but(should=should, next=next_) from None
    # Imported logs count as complete.
    return compare(bill, costs, plan.currency, plan.capture.share if "capture" in origins else 100.0)


def _noting(requests: Iterable[RecordedRequest], origins: set[str]) -> Iterator[RecordedRequest]:
    """Yield the requests, and add to `origins` where they are from."""
    for request in requests:
        origins.add(request.origin)
        yield request
