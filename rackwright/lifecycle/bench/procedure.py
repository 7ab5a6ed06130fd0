"""Put a load on a model's service, measure it, compare it with the objectives, and store the result."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from rackwright import __version__
from rackwright.errors import ProofError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import lock_digest
from rackwright.fleet.naming import unknown_model
from rackwright.fleet.sections.models import Model
from rackwright.fleet.sections.objectives import Objectives
from rackwright.launch import Task
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
"""The load if neither the command nor the fleet file sets one."""


@dataclass(frozen=True)
class Wanted:
    model: str
    load: Load
    replica: str | None = None
    """HOST/MODEL@N; None: through the gateway."""
    knee: bool = False
    """Raise the rate until an objective is missed or throughput no longer grows."""


@dataclass(frozen=True)
class Listener:
    """Receives progress."""

    step: Callable[[Step], None]
    say: Callable[[str], None]


@dataclass(frozen=True)
class Benched:
    bench: Bench
    verdicts: tuple[Verdict, ...]
    """One for each objective of the fleet file."""
    earlier: tuple[Bench, ...]
    """Stored measurements of the model, oldest first."""

    @property
    def met(self) -> bool:
        """Whether requests were answered and all objectives met; for a search, whether any rate achieved that."""
        found = self.bench.knee is not None if self.bench.searched else self.bench.judged.answered > 0
        return found and all(verdict.met for verdict in self.verdicts)


@dataclass(frozen=True)
class _Measured:
    steps: tuple[Step, ...]
    knee: Step | None = None
    why: str = ""


def model_named(fleet: Fleet, name: str) -> Model:
    """Return the fleet file's model. Raise UsageError if there is none."""
    if name not in fleet.file.models:
        raise unknown_model(fleet, name)
    return fleet.file.models[name]


def load_of(
    model: Model,
    *,
    rate: float | None = None,
    requests: int | None = None,
    seconds: float | None = None,
    prompt_tokens: int | None = None,
    answer_tokens: int | None = None,
) -> Load:
    """Return the load: the given values, or those of the objectives.

    Raise UsageError if a value is too large, or the model doesn't generate text.
    """
    if model.task is Task.EMBED:
        raise UsageError("embeddings aren't measured", should="a model that generates text")
    said = model.objectives or _WITHOUT
    per_second = said.rate if rate is None else rate
    count = math.ceil(per_second * seconds) if seconds is not None else requests or said.requests
    if count > MOST_REQUESTS:
        raise UsageError(
            f"{count} requests are too many", should=f"at most {MOST_REQUESTS}: lower --requests or --seconds"
        )
    load = Load(per_second, max(1, count), prompt_tokens or said.prompt_tokens, answer_tokens or said.answer_tokens)
    if load.prompt_tokens + load.answer_tokens > model.context:
        what = f"{load.prompt_tokens} prompt tokens and {load.answer_tokens} answer tokens are more than the context"
        raise UsageError(what, should=f"together at most {model.context}: lower --prompt-tokens or --answer-tokens")
    return load


def bench(session: Session, asker: Asker, wanted: Wanted, listener: Listener) -> Benched:
    """Measure, and store the result on the control hosts. Leave no API key behind and change nothing else.

    Raise ProofError if nothing answers at all, UsageError if the model has no such replica, RackwrightError if it
    can't be measured from here.
    """
    # Checked before half a gigabyte is installed.
    if wanted.replica is None:
        require_controller(asker)
    else:
        replica_named(session, wanted.model, wanted.replica)
    earlier = read_benches(session.store, wanted.model)
    replicas = _replicas(session, wanted, listener)
    tool = ensure(index_of(session.fleet), listener.say)
    objectives = model_named(session.fleet, wanted.model).objectives
    with _way(session, asker, wanted) as way:
        found = _measured(session, tool, way, wanted, objectives, listener)
    kept = _kept(session, tool, way, asker, wanted, replicas, found)
    write_bench(session.store, kept)
    note_act(session, session.fleet.control[0], run=kept.run, command="bench", what=_what(kept), outcome="kept")
    return Benched(kept, verdicts(kept.judged, objectives), earlier)


def _replicas(session: Session, wanted: Wanted, listener: Listener) -> int:
    """Return how many replicas take the load. Raise ProofError if none would."""
    states = session.gateways.servers()
    taking = [state.address for state in states.values() if state.model == wanted.model and state.takes_requests]
    if wanted.replica is None and not taking:
        raise ProofError("no replica takes requests", where=wanted.model, next="rackwright status")
    if wanted.replica in taking:
        listener.say(
            f"{wanted.replica} also serves clients during the measurement; to avoid this, first run "
            f"rackwright drain {wanted.replica}"
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
    model = model_named(session.fleet, wanted.model)
    # Only gateways know the names that clients use.
    name = wanted.model if way.socket else model.names[0]
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
    return f"measured {bench.model} through {bench.through}: {requests} requests, at {rates} per second"
