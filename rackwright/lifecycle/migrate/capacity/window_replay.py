"""The busiest window of recorded traffic, replayed to one replica at several rates."""

from __future__ import annotations

import json
import math
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.sections.objectives import Objectives
from rackwright.lifecycle.bench.measure import Recorded
from rackwright.lifecycle.bench.objectives import missed
from rackwright.lifecycle.bench.tool import VERSION
from rackwright.lifecycle.migrate.capacity.rate_search import search_rate
from rackwright.lifecycle.migrate.capacity.replica_load import Send
from rackwright.lifecycle.migrate.capacity.traffic import Traffic
from rackwright.migrate.asking.way import Way
from rackwright.migrate.capacity.body import body_of
from rackwright.migrate.capacity.busiest import MEASURABLE, Window
from rackwright.migrate.capacity.result import Measured, Speed
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.state.bench import Step

SHORTEST = 60.0
"""Seconds of each replay, at least, unless the operator says otherwise. A queue that grows slowly would not show in a
shorter one."""
LONGEST = 600.0
MOST_SENT = 5000
"""Requests of one replay."""
_WITHOUT = Objectives(errors="0%")


@dataclass
class WindowReplay:
    """The window's requests, replayed at several speeds."""

    traffic: Traffic
    window: Window
    way: Way
    replica: Replica
    say: Callable[[str], None]
    shortest: float
    """Seconds of each replay, at least."""
    left_out: Counter[str] = field(default_factory=Counter)

    def measured(self, send: Send, objectives: Objectives | None) -> Measured:
        """Return what the replica did at each rate. Raise RackwrightError if the window has too few requests."""
        requests = tuple(filter(self._can_be_sent, self.traffic.within(self.window)))
        if len(requests) < MEASURABLE:
            raise RackwrightError(
                f"{len(requests)} chat completions are in the busiest window, at least {MEASURABLE} are needed",
                where=self.replica.model,
                next=f"record more: rackwright migrate capture {self.traffic.place.plan.migration}",
            )
        decide = objectives or _WITHOUT
        # What each of the planned replicas gets at the peak.
        first = self.window.whole_rate / len(self.traffic.place.session.fleet.replicas_of(self.replica.model))
        steps, state = search_rate(lambda rate: self._sent(send, requests, rate), first, decide)
        knee = state.knee
        return Measured(
            replica=self.replica.address,
            tool=f"guidellm {VERSION}",
            window_start=self.window.start,
            window_seconds=self.window.seconds,
            requests=len(requests),
            speeds=tuple(_speed(step, missed(step, decide)) for step in steps),
            goodput=min(knee.rate, knee.requests_per_second) if knee else None,
            latency=knee.latency.p95 if knee and knee.latency else None,
            why_ended=state.why,
            without_objectives=objectives is None,
        )

    def _sent(self, send: Send, requests: tuple[RecordedRequest, ...], rate: float) -> Step:
        step = _over_its_time(send(self._recorded(requests, rate), rate))
        answered = f"{step.requests_per_second:.2f} answered a second"
        self.say(f"{self.replica.address} at {rate:g} a second: {answered}, {step.failed} of {step.requests} failed")
        return step

    def _can_be_sent(self, request: RecordedRequest) -> bool:
        found = body_of(request, self.replica.model, 1, "")
        if found is None:
            self.left_out["it is no chat completion"] += 1
        return found is not None

    def _recorded(self, requests: tuple[RecordedRequest, ...], rate: float) -> Recorded:
        """Return the requests at this mean rate, from the beginning again if they would end too early."""
        lap = len(requests) / rate
        count = min(MOST_SENT, max(MEASURABLE, math.ceil(rate * min(LONGEST, max(self.shortest, lap)))))
        faster = self.window.seconds / lap
        at, bodies, mark = [], [], ""
        for number in range(count):
            turn, which = divmod(number, len(requests))
            if which == 0:
                mark = secrets.token_hex(4)
            request = requests[which]
            at.append(turn * lap + ((request.arrived or 0.0) - self.window.start) / faster)
            tokens = self.traffic.length(request).answer
            bodies.append(json.dumps(body_of(self.way.written(request), self.replica.model, tokens, mark)))
        return Recorded(tuple(one - at[0] for one in at), tuple(bodies))


def _over_its_time(step: Step) -> Step:
    """Return the step with throughput over the time that its requests took to come, at least.

    Requests that came in a burst are all answered long before a time of the same length would be over.
    """
    if step.seconds >= (whole := step.requests / step.rate):
        return step
    shorter = step.seconds / whole
    fewer = {
        "seconds": whole,
        "requests_per_second": step.requests_per_second * shorter,
        "tokens_per_second": step.tokens_per_second * shorter,
    }
    return step.model_copy(update=fewer)


def _speed(step: Step, reason: str | None) -> Speed:
    return Speed(
        rate=step.rate,
        requests=step.requests,
        answered=step.answered,
        failed=step.failed,
        answered_per_second=step.requests_per_second,
        tokens_per_second=step.tokens_per_second,
        ttft_p95=step.ttft.p95 if step.ttft else None,
        tpot_p95=step.tpot.p95 if step.tpot else None,
        latency_p95=step.latency.p95 if step.latency else None,
        missed=reason,
    )
