"""Put a load on a model's service, measure it, hold it against its objectives, and keep what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from rackwright import __version__
from rackwright.errors import ProofError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import lock_digest
from rackwright.fleet.sections.models import Model
from rackwright.fleet.sections.objectives import Objectives
from rackwright.lifecycle.bench.knee import MOST_STEPS, search
from rackwright.lifecycle.bench.load import MOST_REQUESTS, Load
from rackwright.lifecycle.bench.measure import measure, seconds_of, words_of
from rackwright.lifecycle.bench.objectives import Verdict, missed, verdicts
from rackwright.lifecycle.bench.tool import Tool, ensure
from rackwright.lifecycle.bench.way import Way, replica_named, require_controller, through_gateway, to_replica
from rackwright.lifecycle.client.request import Asker
from rackwright.lifecycle.session.remember import note_act
from rackwright.lifecycle.session.session import Session
from rackwright.resolve.package_index import index_of
from rackwright.run import new_run_id
from rackwright.state.bench import Bench, Step, read_benches, write_bench
from rackwright.state.formats import utc_now

_WITHOUT = Objectives(errors="0%")
"""The load, where neither the command nor the fleet file says one."""


@dataclass(frozen=True)
class Wanted:
    model: str
    load: Load
    replica: str | None = None
    """HOST/MODEL@N; the gateway when absent."""
    knee: bool = False
    """Raise the rate until objectives are missed or throughput no longer grows."""


@dataclass(frozen=True)
class Listener:
    """Who hears how it goes."""

    step: Callable[[Step], None]
    say: Callable[[str], None]


@dataclass(frozen=True)
class Benched:
    bench: Bench
    verdicts: tuple[Verdict, ...]
    """Of each objective of the fleet file."""
    earlier: tuple[Bench, ...]
    """What was kept of the model before, oldest first."""

    @property
    def met(self) -> bool:
        """Whether something was answered and every objective met; of a search, whether there is a rate for that."""
        found = self.bench.knee is not None if self.bench.searched else self.bench.judged.answered > 0
        return found and all(verdict.met for verdict in self.verdicts)


@dataclass(frozen=True)
class _Measured:
    steps: tuple[Step, ...]
    knee: Step | None = None
    why: str = ""


def model_named(fleet: Fleet, name: str) -> Model:
    """Return the fleet file's model. Raise UsageError if there is none."""
    models = fleet.file.models
    if name not in models:
        raise UsageError("no model of that name", where=name, should=f"one of {', '.join(models)}")
    return models[name]


def load_of(
    model: Model,
    *,
    rate: float | None = None,
    requests: int | None = None,
    seconds: float | None = None,
    prompt_tokens: int | None = None,
    answer_tokens: int | None = None,
) -> Load:
    """Return the load: what is said, else what the objectives say. Raise UsageError if it can't be."""
    said = model.objectives or _WITHOUT
    per_second = said.rate if rate is None else rate
    count = math.ceil(per_second * seconds) if seconds is not None else requests or said.requests
    if count > MOST_REQUESTS:
        raise UsageError(
            f"{count} requests are too many", should=f"{MOST_REQUESTS} at most: --requests, or --seconds"
        )
    load = Load(per_second, max(1, count), prompt_tokens or said.prompt_tokens, answer_tokens or said.answer_tokens)
    if load.prompt_tokens + load.answer_tokens > model.context:
        what = f"{load.prompt_tokens} tokens of prompt and {load.answer_tokens} of answer are more than the context"
        raise UsageError(what, should=f"together {model.context} at most: --prompt-tokens, --answer-tokens")
    return load


def bench(session: Session, asker: Asker, wanted: Wanted, listener: Listener) -> Benched:
    """Measure; afterwards the control host keeps what came of it. No key is left behind, and nothing is changed.

    Raise ProofError if nothing answers at all, UsageError if the model has no such replica, RackwrightError if it
    can't be measured from here.
    """
    # Before half a gigabyte is installed for what can't be.
    if wanted.replica is None:
        require_controller(asker)
    else:
        replica_named(session, wanted.model, wanted.replica)
    control = session.remote.connection(session.fleet.control[0])
    earlier = read_benches(control, wanted.model)
    replicas = _replicas(session, wanted, listener)
    tool = ensure(index_of(session.fleet), listener.say)
    objectives = model_named(session.fleet, wanted.model).objectives
    with _way(session, asker, wanted) as way:
        found = _measured(session, tool, way, wanted, objectives, listener)
    kept = _kept(session, tool, way, asker, wanted, replicas, found)
    write_bench(control, kept)
    note_act(session, control.name, run=kept.run, command="bench", what=_what(kept), outcome="kept")
    return Benched(kept, verdicts(kept.judged, objectives), earlier)


def _replicas(session: Session, wanted: Wanted, listener: Listener) -> int:
    """Return how many replicas take the load. Raise ProofError if none would."""
    states = session.gateways.servers()
    taking = [state.address for state in states.values() if state.model == wanted.model and state.takes_requests]
    if wanted.replica is None and not taking:
        raise ProofError("no replica takes requests", where=wanted.model, next="rackwright status")
    if wanted.replica in taking:
        listener.say(
            f"{wanted.replica} serves clients meanwhile; rackwright drain {wanted.replica} takes it out first"
        )
    return 1 if wanted.replica else len(taking)


def _way(session: Session, asker: Asker, wanted: Wanted) -> AbstractContextManager[Way]:
    if wanted.replica:
        return to_replica(session, replica_named(session, wanted.model, wanted.replica))
    steps = MOST_STEPS if wanted.knee else 1
    return through_gateway(session, asker, seconds=math.ceil(seconds_of(wanted.load) * steps))


def _measured(
    session: Session, tool: Tool, way: Way, wanted: Wanted, objectives: Objectives | None, listener: Listener
) -> _Measured:
    name = model_named(session.fleet, wanted.model).names[0]
    words = words_of(way, name, wanted.load)

    def one(rate: float) -> Step:
        step = measure(tool, way, name, wanted.load.at(rate), words)
        listener.step(step)
        return step

    steps = [one(wanted.load.rate)]
    if not wanted.knee:
        return _Measured(tuple(steps))
    while (state := search(steps, lambda step: missed(step, objectives))).next_rate:
        steps.append(one(state.next_rate))
    return _Measured(tuple(steps), state.knee, state.why)


def _kept(
    session: Session, tool: Tool, way: Way, asker: Asker, wanted: Wanted, replicas: int, found: _Measured
) -> Bench:
    load = wanted.load
    return Bench(
        run=new_run_id(),
        when=utc_now(),
        who=session.operator.who,
        model=wanted.model,
        digest=session.lock.models[wanted.model].digest,
        lock=lock_digest(session.lock),
        runtime=model_named(session.fleet, wanted.model).runtime.key,
        tool=tool.name,
        version=__version__,
        asked_from="the controller, over SSH" if way.socket else asker.where,
        through=way.said,
        replicas=replicas,
        prompt_tokens=load.prompt_tokens,
        answer_tokens=load.answer_tokens,
        steps=found.steps,
        knee=found.knee,
        searched=wanted.knee,
        why_ended=found.why,
    )


def _what(bench: Bench) -> str:
    rates = ", ".join(f"{step.rate:g}" for step in bench.steps)
    requests = sum(step.requests for step in bench.steps)
    return f"measured {bench.model} through {bench.through}: {requests} requests, at {rates} a second"
