"""How far a migration's cutover is, by its log."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.cutover.state import CutoverState
from rackwright.state.migrations import Entry, Log, Step, result_in
from rackwright.state.store import ControlStore

NONE = CutoverState(phase="back", share=0)
STEPS: tuple[Step, ...] = ("cutover", "rollback", "pause")


@dataclass(frozen=True)
class Cutting:
    """What the log says of a cutover."""

    state: CutoverState = NONE
    """The newest; as after a rollback if it never began."""
    paused: Entry | None = None
    """Who paused it, if nothing came after it."""


def cutting(store: ControlStore, log: Log) -> Cutting:
    """Return how far the cutover is. Raise RackwrightError if its result is missing or was changed."""
    entries = [one for one in log.entries if one.step in STEPS]
    newest = next((one for one in reversed(entries) if one.result), None)
    paused = entries[-1] if entries and entries[-1].step == "pause" else None
    return Cutting(result_in(store, newest, CutoverState), paused) if newest else Cutting(paused=paused)


def cutting_of(place: Place) -> Cutting:
    return cutting(place.session.store, place.log)
