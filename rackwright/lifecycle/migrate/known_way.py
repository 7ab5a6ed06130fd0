"""How both sides are asked now, by the plan and the newest assessment."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock_file import read_lock
from rackwright.lifecycle.migrate.place import Place
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
