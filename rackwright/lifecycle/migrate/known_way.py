"""How both sides are asked now, by the plan and the newest assessment, and what scores have cost."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock_file import read_lock
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.asking.spent import Spent
from rackwright.migrate.asking.way import Way, way_of
from rackwright.migrate.assessment import Assessed


def known_way(place: Place) -> Way:
    """Return how both sides are asked. Raise RackwrightError if the assessment is missing or was changed."""
    return way_of(place.plan, place.result("assess", Assessed), versions_of(place.session.fleet))


def versions_of(fleet: Fleet) -> Mapping[str, str]:
    """Return each model's version by the lock next to the fleet file; empty if there is none that can be used."""
    try:
        lock = read_lock(fleet.sibling("lock"))
    except RackwrightError:
        return {}
    return {
        name: f"{lock.models[name].digest[:12]}, {model.runtime.kind} {model.runtime.version}"
        for name, model in fleet.file.models.items()
        if name in lock.models and model.runtime
    }


def spent_by_scores(place: Place) -> Spent:
    """Return what scores have cost so far. Raise RackwrightError if it was in another currency than the plan's."""
    plan = place.plan
    found = place.result("golden", Spent) or Spent(currency=plan.currency)
    if found.currency != plan.currency:
        raise other_currency(plan.migration, f"scores have spent {found.all:.2f} {found.currency}", found.currency)
    return found


def other_currency(migration: str, what: str, currency: str) -> RackwrightError:
    """Return the error for a plan whose currency was changed."""
    should = f"should stay {currency}: the budget is for all replays and scores"
    return RackwrightError(what, where=f"{migration} currency", should=should)
