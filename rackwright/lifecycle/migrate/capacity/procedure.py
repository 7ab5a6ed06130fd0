"""Measure what one replica does with recorded traffic, and derive how many the whole traffic needs."""

from __future__ import annotations

import json
import math
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from rackwright.errors import RackwrightError, UsageError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.sections.objectives import Objectives
from rackwright.lifecycle.bench.knee import MOST_STEPS, Search, search
from rackwright.lifecycle.bench.load import Load
from rackwright.lifecycle.bench.measure import Recorded, measure
from rackwright.lifecycle.bench.objectives import missed
from rackwright.lifecycle.bench.tool import VERSION, ensure
from rackwright.lifecycle.bench.way import to_replica
from rackwright.lifecycle.migrate.capacity.pool_check import checked_cache
from rackwright.lifecycle.migrate.capacity.traffic import Traffic, traffic
from rackwright.lifecycle.migrate.known_way import known_way
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.session.session import Session
from rackwright.migrate.asking.way import Way
from rackwright.migrate.capacity.body import body_of
from rackwright.migrate.capacity.busiest import LENGTHS, MEASURABLE, Window, busiest, to_replay
from rackwright.migrate.capacity.result import CapacityFound, Extrapolated, Measured, ModelCapacity, Speed
from rackwright.migrate.capacity.sizing import at_a_time, sizing
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.resolve.package_index import index_of
from rackwright.state.bench import Step

SHORTEST = 60.0
"""Seconds of each replay, at least, unless the operator says otherwise. A queue that grows slowly would not show in a
shorter one."""
LONGEST = 600.0
MOST_SENT = 5000
"""Requests of one replay."""
_HALVINGS = 5
_WITHOUT = Objectives(errors="0%")
Send = Callable[[Recorded, float], Step]
"""Sends recorded requests, whose mean rate is given, to a replica and measures it."""
Engine = Callable[[Session, Replica, Callable[[str], None]], AbstractContextManager[Send]]


@contextmanager
def engine(session: Session, replica: Replica, say: Callable[[str], None]) -> Iterator[Send]:
    """Yield what sends requests over SSH to the replica's own socket."""
    tool = ensure(index_of(session.fleet), say)
    with to_replica(session, replica) as way:

        def send(recorded: Recorded, rate: float) -> Step:
            load = Load(rate, len(recorded.at), 0, 0)
            return measure(tool, way, replica.model, load, 1, recorded)

        yield send


def capacity(
    place: Place,
    say: Callable[[str], None],
    replica: str | None = None,
    engine: Engine = engine,
    *,
    seconds: float = SHORTEST,
) -> CapacityFound:
    """Measure one replica of each of the plan's models, or only this one (HOST/MODEL@N), and store the result.

    Each replay lasts at least `seconds`.

    Clients' requests compete with the load. Raise UsageError if there is no such replica, RackwrightError if too few
    requests with a known time were recorded, or if it can't be measured.
    """
    place.need_folder()
    chosen = _replicas(place, replica)
    found = CapacityFound(models=tuple(_model(place, one, say, engine, seconds) for one in chosen))
    place.note("capacity", _what(found), found)
    return found


def _replicas(place: Place, written: str | None) -> tuple[Replica, ...]:
    """Return one replica of each model. Raise UsageError if there is none."""
    models = tuple(dict.fromkeys(place.plan.models.values()))
    there = {model: place.session.fleet.replicas_of(model) for model in models}
    if written is not None:
        for replica in (one for found in there.values() for one in found):
            if replica.address == written:
                return (replica,)
        listed = ", ".join(one.address for found in there.values() for one in found) or "none"
        raise UsageError(
            "the plan's models have no such replica", where=f"--replica {written}", should=f"there are: {listed}"
        )
    if missing := [model for model in models if not there[model]]:
        raise UsageError(
            "has no replica that could be measured",
            where=", ".join(missing),
            next="rackwright apply, after a place in the fleet file",
        )
    return tuple(found[0] for found in there.values())


def _model(
    place: Place, replica: Replica, say: Callable[[str], None], engine: Engine, seconds: float
) -> ModelCapacity:
    names = tuple(name for name, model in place.plan.models.items() if model == replica.model)
    found = traffic(place, frozenset(names))
    window = to_replay(found.arrivals)
    if window is None or window.requests < MEASURABLE:
        raise RackwrightError(
            f"{window.requests if window else 0} recorded requests have a time of arrival, at least {MEASURABLE} are "
            "needed",
            where=f"{place.plan.migration} {replica.model}",
            next=f"rackwright migrate capture {place.plan.migration}",
        )
    replay = _Replay(found, window, known_way(place), replica, say, seconds)
    with engine(place.session, replica, say) as send:
        measured = replay.measured(send, _objectives(place, replica))
    extrapolated = _extrapolated(place, found, window, measured, replica)
    return ModelCapacity(
        model=replica.model,
        instead_of=names,
        planned=len(place.session.fleet.replicas_of(replica.model)),
        measured=measured,
        extrapolated=extrapolated,
        cache=checked_cache(place.session, replica, found, extrapolated.at_a_time),
        answers=dict(found.bases),
        left_out=dict(sorted((found.left_out + replay.left_out).items())),
    )


def _objectives(place: Place, replica: Replica) -> Objectives | None:
    return place.session.fleet.file.models[replica.model].objectives


@dataclass
class _Replay:
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
        requests = tuple(filter(self._can_be_sent, self.traffic.within(self.window)))
        if len(requests) < MEASURABLE:
            raise RackwrightError(
                f"{len(requests)} chat completions are in the busiest window, at least {MEASURABLE} are needed",
                where=self.replica.model,
                next=f"record more: rackwright migrate capture {self.traffic.place.plan.migration}",
            )
        first = self.window.whole_rate / len(self.traffic.place.session.fleet.replicas_of(self.replica.model))
        steps, state = _searched(lambda rate: self._sent(send, requests, rate), first, objectives)
        knee = state.knee
        return Measured(
            replica=self.replica.address,
            tool=f"guidellm {VERSION}",
            window_start=self.window.start,
            window_seconds=self.window.seconds,
            requests=len(requests),
            speeds=tuple(_speed(step, missed(step, objectives or _WITHOUT)) for step in steps),
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


def _searched(
    send: Callable[[float], Step], first: float, objectives: Objectives | None
) -> tuple[tuple[Step, ...], Search]:
    """Begin at the rate that each of the planned replicas gets at the peak; search downward if it is too high."""

    def judge(step: Step) -> str | None:
        return missed(step, objectives or _WITHOUT)

    steps = [send(_readable(first))]
    state = search(steps, judge)
    while state.knee is None and len(steps) <= _HALVINGS:
        steps.append(send(_readable(min(step.rate for step in steps) / 2)))
        state = search(steps, judge)
    while state.next_rate and len(steps) < MOST_STEPS:
        steps.append(send(state.next_rate))
        state = search(steps, judge)
    return tuple(steps), state


def _readable(rate: float) -> float:
    return float(f"{rate:.4g}")


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


def _extrapolated(place: Place, found: Traffic, window: Window, measured: Measured, replica: Replica) -> Extrapolated:
    rules, peak = place.plan.capacity, window.whole_rate
    times = found.arrivals.times
    # A window that is longer than the records would say that little is asked.
    lengths = [seconds for seconds in LENGTHS if seconds <= max(window.seconds, times[-1] - times[0])]
    peaks = {str(seconds): busy.whole_rate for seconds in lengths if (busy := busiest(found.arrivals, seconds))}
    known = Extrapolated(
        sampled=100 * window.requests / window.weight,
        peak=peak,
        peaks=peaks,
        headroom=rules.headroom,
        spare=rules.spare,
    )
    if not measured.goodput or measured.latency is None:
        return known
    gpus = replica.gpus * len(replica.hosts)
    size = sizing(peak, measured.goodput, headroom=rules.headroom, spare=rules.spare, gpus=gpus)
    together = at_a_time(peak / size.busy, measured.latency)
    return known.model_copy(
        update={"busy": size.busy, "replicas": size.replicas, "gpus": size.gpus, "at_a_time": together}
    )


def _what(found: CapacityFound) -> str:
    parts = (
        f"{one.model}: {one.extrapolated.replicas or 'no'} replicas needed, {one.planned} planned"
        for one in found.models
    )
    return f"{'met' if found.met else 'not met'}; {'; '.join(parts)}"
