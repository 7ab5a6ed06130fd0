"""Ask both sides through the gateways, for what a score needs in addition: the golden set and a judge."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.known_way import known_way
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.replay.gateway_lanes import both_lanes
from rackwright.lifecycle.migrate.replay.lane import Lane, Stop
from rackwright.lifecycle.migrate.require_ends import require_ends
from rackwright.lifecycle.migrate.score.golden_cost import GoldenCost
from rackwright.lifecycle.migrate.score.judging import Ask
from rackwright.migrate.asking.parse_answer import parse_answer
from rackwright.migrate.asking.price_of import cost, most
from rackwright.migrate.asking.request_body import cloud_body, fleet_body
from rackwright.migrate.asking.way import Way
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from rackwright.migrate.side import Side


@dataclass
class Ends:
    """Both sides of a migration. The cloud is asked only while the plan's budget covers the most that it may cost."""

    plan: Plan
    names: Mapping[str, str]
    """The provider's model → the name of the fleet's model at the gateways."""
    way: Way
    lanes: Mapping[Side, Lane]
    golden_cost: GoldenCost
    _charged: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self, side: Side, requests: Sequence[RecordedRequest]) -> Mapping[str, ReplayedAnswer]:
        """Raise RackwrightError if the budget doesn't cover the requests, or if a side can't be asked any further."""
        if side == "fleet" or not requests:
            return self._asked(side, requests)
        self.golden_cost.reserve(sum(most(self.plan, request) for request in requests), len(requests))
        self._charged = 0.0
        try:
            return self._asked(side, requests)
        finally:
            self.golden_cost.settle(self._charged)

    def _asked(self, side: Side, requests: Sequence[RecordedRequest]) -> Mapping[str, ReplayedAnswer]:
        with ThreadPoolExecutor(self.plan.replay.concurrency) as pool:
            answers = tuple(pool.map(lambda one: self._answer(side, one), requests))
        return {answer.request: answer for answer in answers}

    def _answer(self, side: Side, request: RecordedRequest) -> ReplayedAnswer:
        if side == "cloud":
            body = cloud_body(request)
        else:
            body = fleet_body(request, self.names.get(request.model, request.model), self.way)
        try:
            got = self.lanes[side].ask(request.path, body)
        except Stop as stop:
            raise RackwrightError(
                f"the score stopped: {stop.stopped.line()}",
                where=self.plan.migration,
                next=stop.stopped.before(f"rackwright migrate score {self.plan.migration}", self.plan.cloud),
            ) from None
        answer = parse_answer(request, side, got.status, got.content, seconds=got.seconds, problem=got.problem)
        if side == "cloud" and got.sent:
            with self._lock:
                self._charged += cost(self.plan, request, answer)
        return answer


@contextmanager
def both_ends(place: Place) -> Iterator[Ask]:
    """Yield what asks both sides, in the plan's hours and with its concurrency.

    Raise FleetError if a side can't answer one of the plan's models, RackwrightError if the gateways don't let this
    machine in.
    """
    names = require_ends(place.session.fleet, place.plan)
    with both_lanes(place) as lanes:
        yield Ends(place.plan, names, known_way(place), lanes, GoldenCost(place))
