"""`migrate assess`: what recorded traffic uses, what the fleet does with it, and what is stored at the provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.probe_features import probe_features
from rackwright.lifecycle.migrate.provider import provider_objects
from rackwright.lifecycle.migrate.replay.gateway_lanes import lane_to
from rackwright.lifecycle.migrate.replay.lane import Pace
from rackwright.lifecycle.migrate.require_ends import require_replicas
from rackwright.migrate.assessment import Assessed, Moved, Used
from rackwright.migrate.features.kinds import Status
from rackwright.migrate.features.mapping import mapping
from rackwright.migrate.features.summary import OTHER, ModelTraffic, TrafficSummary, summary
from rackwright.migrate.features.table import CONTEXT, MAX_REQUEST, UNKNOWN, feature
from rackwright.migrate.folder import Folder
from rackwright.migrate.lines import lines_in
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.provider_objects import ProviderObjects
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.report.words import counted
from rackwright.stopping import stoppable

MOST_HOURS = 1000
"""The last hours whose arrivals are kept in the result."""
MOST_MODELS = 50
MOST_FEATURES = 150
Probing = Callable[[str, Iterable[str]], Mapping[str, Status]]
"""Given the name of a model at the gateways and features, return what it does with those that an answer shows."""


def assess(place: Place) -> Assessed:
    """Return what an assessment finds, and note it. Changes nothing at the provider or in the fleet.

    Raise FleetError if a model of the plan has no replica yet, RackwrightError if there are no records, ProofError if
    the fleet doesn't answer.
    """
    place.need_folder()
    fleet, plan, console = place.session.fleet, place.plan, place.console
    names = require_replicas(fleet, plan)
    found = traffic_of(fleet, place.folder, plan)
    console.say(f"{counted(found.requests, 'recorded request')}; asking the provider what is stored there")
    provider = provider_objects(fleet, plan)
    with (
        stoppable(console.heard) as stopping,
        lane_to(place.session, "fleet", Pace(stopping=stopping), connections=1) as lane,
    ):

        def probing(model: str, features: Iterable[str]) -> Mapping[str, Status]:
            console.say(f"asking the fleet's own {model} for each feature that is used")
            return probe_features(lane, model, features)

        assessed = assessed_of(fleet, plan, found, names, probing, provider)
    place.note("assess", line_of(assessed), assessed)
    return assessed


def assess_offline(fleet: Fleet, plan: Plan, folder: Folder) -> Assessed:
    """Return what the folder and the runtimes' known behavior show. Asks nobody, and notes nothing."""
    return assessed_of(fleet, plan, traffic_of(fleet, folder, plan), {}, None, None)


def traffic_of(fleet: Fleet, folder: Folder, plan: Plan) -> TrafficSummary:
    """Return what the recorded requests add up to. Raise RackwrightError if there is none."""
    found = summary(
        (request for _, request in lines_in(folder, "requests", RecordedRequest)), fleet.file.gateway.max_request
    )
    if not found.requests:
        raise RackwrightError(
            "has no recorded request",
            where=str(folder.path),
            next=f"rackwright migrate capture {plan.migration}, or rackwright migrate import {plan.migration} FILE",
        )
    return found


def assessed_of(
    fleet: Fleet,
    plan: Plan,
    found: TrafficSummary,
    names: Mapping[str, str],
    probing: Probing | None,
    provider: ProviderObjects | None,
) -> Assessed:
    """Return the assessment. `names`: the provider's model → the name of the fleet's model at the gateways."""
    probed: dict[str, Mapping[str, Status]] = {}
    moved = []
    for model, target in plan.models.items():
        if (known := found.models.get(model)) is None:
            continue
        traffic = _few_features(known)
        if probing and (new := [one for one in traffic.features if one not in probed.get(target, {})]):
            probed[target] = {**probed.get(target, {}), **probing(names[model], new)}
        moved.append(_moved(fleet, plan, model, traffic, probed.get(target, {})))
    others = {name: one.requests for name, one in found.models.items() if name not in plan.models}
    return Assessed(
        probed=probing is not None,
        traffic=_bounded(found, plan),
        moved=tuple(moved),
        unmapped=dict(sorted(others.items(), key=lambda item: -item[1])[:MOST_MODELS]),
        provider=provider,
    )


def line_of(assessed: Assessed) -> str:
    """Return the assessment in one line, for the log."""
    used = {feature.name for one in assessed.moved for feature in one.features}
    line = f"{counted(assessed.traffic.requests, 'request')}, {counted(len(used), 'feature')}"
    blocking = len(assessed.blocking)
    return (
        f"{line}; {counted(blocking, 'blocks', 'block')} the move" if blocking else f"{line}; nothing blocks the move"
    )


def _moved(fleet: Fleet, plan: Plan, model: str, traffic: ModelTraffic, probed: Mapping[str, Status]) -> Moved:
    target = plan.models[model]
    engine = fleet.file.models.get(target)
    runtime, version = (engine.runtime.kind, engine.runtime.version) if engine else ("", "")
    used = []
    for name, requests in traffic.features.items():
        known = feature(name)
        status, source = (
            known.status(runtime, version, probed.get(name)) if engine else ("unknown", "has no engine yet")
        )
        waiver = plan.waivers.get(name, "")
        used.append(
            Used(name=name, means=known.means, requests=requests, status=status, source=source, waiver=waiver)
        )
    context = engine.context if engine else 0
    statuses = {one.name: one.status for one in used}
    mapped = mapping(traffic, statuses, context=context or None, waivers=plan.waivers)
    return Moved(
        model=model,
        target=target,
        runtime=runtime,
        context=context,
        features=tuple(used),
        long_waiver=plan.waivers.get(CONTEXT, ""),
        max_request=fleet.file.gateway.max_request,
        large_waiver=plan.waivers.get(MAX_REQUEST, ""),
        mapped=mapped,
    )


def _few_features(traffic: ModelTraffic) -> ModelTraffic:
    """Return the traffic with the features that most requests use; the others count as one that isn't known."""
    names = list(traffic.features)
    if len(names) <= MOST_FEATURES:
        return traffic
    kept = {name: traffic.features[name] for name in names[:MOST_FEATURES]}
    others = sum(traffic.features[name] for name in names[MOST_FEATURES:])
    kept[UNKNOWN + OTHER] = kept.get(UNKNOWN + OTHER, 0) + others
    return traffic.model_copy(update={"features": kept})


def _bounded(found: TrafficSummary, plan: Plan) -> TrafficSummary:
    """Return the summary without what could make it too large to be kept: a log may name any number of models."""
    models = {name: _few_features(one) for name, one in found.models.items() if name in plan.models}
    hours = dict(list(found.hours.items())[-MOST_HOURS:])
    return found.model_copy(update={"models": models, "hours": hours})
