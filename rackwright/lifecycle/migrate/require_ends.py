"""Whether both sides can answer the plan's models, before anything is asked."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.migrate.plan.plan import Plan


def require_ends(fleet: Fleet, plan: Plan) -> Mapping[str, str]:
    """Return what `require_replicas` does. Raise FleetError also if the gateways don't pass a model to the cloud."""
    should = f"a model with cloud: {plan.cloud} should have it in its names, or the plan should not name it"
    problems = [
        Problem(
            f"{plan.migration} models.{provided}",
            f"the gateways pass no {provided} to the cloud {plan.cloud}",
            should,
            f"edit the fleet file, then rackwright apply; or edit the plan, then rackwright migrate status "
            f"{plan.migration}",
        )
        for provided in plan.models
        if not _reaches_cloud(fleet, plan.cloud, provided)
    ]
    try:
        names = require_replicas(fleet, plan)
    except FleetError as error:
        raise error.with_problems(problems) from None
    if problems:
        raise FleetError(problems)
    return names


def require_replicas(fleet: Fleet, plan: Plan) -> Mapping[str, str]:
    """Return the name at the gateways of the fleet's model for each of the provider's models.

    Raise FleetError with every model that has no replica.
    """
    names: dict[str, str] = {}
    problems: list[Problem] = []
    for provided, model in plan.models.items():
        found = fleet.file.models.get(model)
        if found is None or not fleet.replicas_of(model):
            what = f"{model} has no replica yet"
            should = "it needs a source, a runtime, a place and a context in the fleet file"
            next_ = "add that, then rackwright apply"
            problems.append(Problem(f"{plan.migration} models.{provided}", what, should, next_))
        else:
            names[provided] = provided if provided in found.names else found.names[0]
    if problems:
        raise FleetError(problems)
    return names


def _reaches_cloud(fleet: Fleet, cloud: str, name: str) -> bool:
    return any(model.cloud == cloud and name in model.served for model in fleet.file.routed.values())
