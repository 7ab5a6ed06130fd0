"""`migrate capacity`: measure what one replica does with recorded traffic, and derive how many all of it needs."""

from __future__ import annotations

from collections.abc import Callable

from rackwright.errors import RackwrightError, UsageError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.migrate.capacity.pool_check import checked_cache
from rackwright.lifecycle.migrate.capacity.replica_load import Engine, engine
from rackwright.lifecycle.migrate.capacity.traffic import Traffic, traffic
from rackwright.lifecycle.migrate.capacity.window_replay import SHORTEST, WindowReplay
from rackwright.lifecycle.migrate.known_way import known_way
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.capacity.busiest import MEASURABLE, Window, to_replay
from rackwright.migrate.capacity.extrapolate import extrapolate
from rackwright.migrate.capacity.result import CapacityFound, ModelCapacity
from rackwright.report.words import counted


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
    window = _window(place, replica, found)
    replay = WindowReplay(found, window, known_way(place), replica, say, seconds)
    with engine(place.session, replica, say) as send:
        measured = replay.measured(send, place.session.fleet.file.models[replica.model].objectives)
    extrapolated = extrapolate(place.plan.capacity, found.arrivals, window, measured, replica)
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


def _window(place: Place, replica: Replica, found: Traffic) -> Window:
    """Return the window to replay. Raise RackwrightError if too few requests with a known time were recorded."""
    window = to_replay(found.arrivals)
    if window is None or window.requests < MEASURABLE:
        raise RackwrightError(
            f"{window.requests if window else 0} recorded requests have a time of arrival, at least {MEASURABLE} are "
            "needed",
            where=f"{place.plan.migration} {replica.model}",
            next=f"rackwright migrate capture {place.plan.migration}",
        )
    return window


def _what(found: CapacityFound) -> str:
    parts = (f"{one.model}: {_needed(one)} needed, {one.planned} planned" for one in found.models)
    return f"{'met' if found.met else 'not met'}; {'; '.join(parts)}"


def _needed(one: ModelCapacity) -> str:
    needed = one.extrapolated.replicas
    return counted(needed, "replica") if needed else "an unknown number of replicas"
