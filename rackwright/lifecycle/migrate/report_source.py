"""What a report on a migration is made from. Reading it needs no lock, no lease and no secret of the fleet."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.migrate.place import folder_of
from rackwright.lifecycle.migrate.standing import Standing, standing
from rackwright.migrate.folder import Folder
from rackwright.migrate.plan.plan import Plan
from rackwright.state.migrations import Entry, Model, Step, newest_result, result_in
from rackwright.state.store import ControlStore


@dataclass(frozen=True)
class Reported:
    fleet: Fleet
    store: ControlStore
    standing: Standing
    plan: Plan
    folder: Folder
    """On this machine, if it is here. The private key is resolved when a file is first read."""

    def result(self, step: Step, kind: type[Model]) -> Model | None:
        """Return the newest stored result of the step, None if there is none.

        Raise RackwrightError if it is missing or was changed.
        """
        found = self.entry(step)
        return result_in(self.store, found, kind) if found else None

    def entry(self, step: str) -> Entry | None:
        """Return the newest entry of the step that has a result, None if there is none."""
        return newest_result(self.standing.log, step)


def reported(fleet: Fleet, store: ControlStore, name: str) -> Reported | None:
    """Return what a report needs; None: this machine has no plan, only the log. Raise what `standing` raises."""
    found = standing(fleet, store, name)
    if found.plan is None:
        return None
    return Reported(fleet, store, found, found.plan, folder_of(found.path, found.plan))
