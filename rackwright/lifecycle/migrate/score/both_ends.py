"""Ask both ends through the gateways, for what a score needs in addition to a replay: the golden set, and a judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from rackwright.errors import RackwrightError
from rackwright.fleet.times.zone import zone_of
from rackwright.lifecycle.migrate.gateway_lanes import Hours, lane_to
from rackwright.lifecycle.migrate.lane import Lane, Pace, Stop
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.prepare import require_ends
from rackwright.lifecycle.migrate.score.judging import Ask
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.asking.parse_answer import parse_answer
from rackwright.migrate.asking.price_of import cost, most
from rackwright.migrate.asking.request_body import cloud_body, fleet_body, unchanged
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from rackwright.migrate.side import Side
from rackwright.stopping import stoppable


@dataclass
class Ends:
    """Both ends of a migration. The cloud is asked only while the plan's budget covers the most that it may cost."""

    plan: Plan
    names: Mapping[str, str]
    """The provider's model → the name of the fleet's model at the gateways."""
    lanes: Mapping[Side, Lane]
    left: float
    """Of the budget."""
    say: Callable[[str], None] = field(repr=False)

    def __call__(self, side: Side, requests: Sequence[RecordedRequest]) -> Mapping[str, ReplayedAnswer]:
        """Raise RackwrightError if the budget doesn't cover the requests, or if an end can't be asked any further."""
        if side == "cloud":
            self._refuse_costly(requests)
        with ThreadPoolExecutor(self.plan.replay.concurrency) as pool:
            answers = tuple(pool.map(lambda one: self._answer(side, one), requests))
        if side == "cloud":
            self.left -= sum(cost(self.plan, one, other) for one, other in zip(requests, answers, strict=True))
        return {answer.request: answer for answer in answers}

    def _answer(self, side: Side, request: RecordedRequest) -> ReplayedAnswer:
        if side == "cloud":
            body = cloud_body(request)
        else:
            body = fleet_body(request, self.names.get(request.model, request.model), unchanged)
        try:
            got = self.lanes[side].ask(request.path, body)
        except Stop as stop:
            raise RackwrightError(f"the score stopped: {stop.reason}", where=self.plan.migration) from None
        return parse_answer(request, side, got.status, got.content, seconds=got.seconds, problem=got.problem)

    def _refuse_costly(self, requests: Sequence[RecordedRequest]) -> None:
        worst = sum(most(self.plan, request) for request in requests)
        if worst > self.left:
            raise RackwrightError(
                f"the golden set may cost {worst:.2f} {self.plan.currency}, and {max(0.0, self.left):.2f} are left",
                where=f"the plan of {self.plan.migration}",
                should="replay.budget should cover it",
            )


@contextmanager
def both_ends(place: Place, say: Callable[[str], None]) -> Iterator[Ask]:
    """Yield what asks both ends, in the plan's hours and with its concurrency.

    Raise FleetError if an end can't answer one of the plan's models, RackwrightError if the gateways don't let this
    machine in.
    """
    plan, fleet = place.plan, place.session.fleet
    names, before = require_ends(fleet, plan), place.result("replay", Outcome)
    hours = Hours(plan.replay.hours, zone_of(fleet), say)
    with ExitStack() as stack:
        stopping = stack.enter_context(stoppable(lambda: say("stopping, once more ends it at once")))
        pace = Pace(stopping=stopping, closed_until=hours.waiter())
        sides: tuple[Side, ...] = ("cloud", "fleet")
        lanes = {
            side: stack.enter_context(lane_to(place.session, side, pace, connections=plan.replay.concurrency))
            for side in sides
        }
        yield Ends(plan, names, lanes, plan.replay.budget - (before.spent if before else 0.0), say)
