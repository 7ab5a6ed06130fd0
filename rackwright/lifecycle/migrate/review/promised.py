"""What the results of a migration's steps said when its cutover began."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.assessment import Assessed
from rackwright.migrate.capacity.result import CapacityFound
from rackwright.migrate.cost.comparison import Costed
from rackwright.migrate.plan.plan_keys import key_digests
from rackwright.migrate.score.result import Scored
from rackwright.migrate.shadow_result import Shadowed
from rackwright.state.migrations import KEPT, Entry, Log, Model, newest_result, result_in
from rackwright.values.text import enumerated

_LIMITS = ("score", "capacity", "costs", "prices", "cutover.thresholds", "models")
"""Keys of the plan that say what is promised, or when it is kept."""


@dataclass(frozen=True)
class Promised:
    """None: there was no such result."""

    score: Scored | None
    capacity: CapacityFound | None
    cost: Costed | None
    assessed: Assessed | None
    doubts: tuple[str, ...]


def promised(place: Place, begun: Entry) -> Promised:
    """Return the newest results before this entry. Raise HostError if no control host answers."""
    doubts: list[str] = []

    def read(step: str, kind: type[Model]) -> Model | None:
        entry = newest_result(_until(place.log, begun), step)
        try:
            return result_in(place.session.store, entry, kind) if entry else None
        except HostError:
            raise
        except RackwrightError as error:
            doubts.append(f"what was promised of {step} can't be read: {error.problems[0].what}")
            return None

    found = (read("score", Scored), read("capacity", CapacityFound), read("cost", Costed), read("assess", Assessed))
    return Promised(*found, doubts=(*doubts, *_nothing(place.log, begun), *_edited(place, begun)))


def newest_score(place: Place, begun: Entry) -> tuple[Scored, datetime] | None:
    """Return the newest score since the cutover began, and when it was made; None: there is none.

    The gates' shadow rounds have one, too. A round that wasn't completed has none.
    """
    store, since = place.session.store, place.log.entries[begun.number :]
    # Older results are gone.
    for entry in [one for one in reversed(since) if one.step in ("score", "shadow") and one.result][:KEPT]:
        found = result_in(store, entry, Scored) if entry.step == "score" else result_in(store, entry, Shadowed).scored
        if found:
            return found, entry.time
    return None


def _until(log: Log, entry: Entry) -> Log:
    return Log(log.migration, log.entries[: entry.number], log.sha256s[: entry.number])


def _nothing(log: Log, begun: Entry) -> Iterator[str]:
    for step in ("score", "capacity", "cost"):
        if newest_result(_until(log, begun), step) is None:
            yield f"nothing was promised of {step}: it has no result from before the cutover"


def _edited(place: Place, begun: Entry) -> Iterator[str]:
    now = key_digests(place.plan)
    changed = (key for key in {*now, *begun.keys} if now.get(key) != begun.keys.get(key))
    edited = sorted(key for key in changed if any(key == one or key.startswith(f"{one}.") for one in _LIMITS))
    if edited:
        yield f"{enumerated(edited)} changed in the plan since the cutover began"
