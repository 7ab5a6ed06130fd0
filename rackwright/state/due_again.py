"""What control hosts store about providers that should be asked again after a migration's end."""

from __future__ import annotations

from rackwright.state.formats import Moment, parse
from rackwright.state.store import ControlStore
from rackwright.values.base import Stored
from rackwright.values.text import Name

FOLDER = "migrations/rechecks"


class DueRecheck(Stored):
    """When a provider should be asked again."""

    format: str = "migration-due/1"
    migration: Name
    due: Moment | None
    """None: it was asked, and everything was still gone."""


def put_due(store: ControlStore, wanted: DueRecheck) -> None:
    """Store it in place of an earlier one."""
    store.put(f"{FOLDER}/{wanted.migration}.json", wanted.model_dump_json(indent=1) + "\n")


def due_rechecks(store: ControlStore) -> tuple[DueRecheck, ...]:
    """Return those that have a time, by migration. Raise RackwrightError if one is damaged."""
    found = store.read_all(FOLDER).items()
    every = (parse(DueRecheck, "migration-due", text, store.place(f"{FOLDER}/{name}")) for name, text in found)
    return tuple(one for one in every if one.due)
