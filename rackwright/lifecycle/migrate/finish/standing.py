"""How far the end of a migration is, by its log."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.migrate.finish.state import FinishState, Rechecked
from rackwright.state.formats import utc_now
from rackwright.state.migrations import Log, newest_result, result_in
from rackwright.state.store import ControlStore


@dataclass(frozen=True)
class Finished:
    """What the log says of the end."""

    state: FinishState | None = None
    """None: it hasn't started."""
    rechecked: Rechecked | None = None
    """The newest since the end; None: there is none."""

    @property
    def done(self) -> bool:
        return self.state is not None and self.state.phase == "done"

    @property
    def due(self) -> float | None:
        """When the provider should be asked again, Unix seconds; None: nobody asks again, or all was gone."""
        if self.state is None or not self.done or (self.rechecked and self.rechecked.good):
            return None
        return self.state.due

    def next(self, name: str) -> str:
        """Return the command that goes on with the end; "": it hasn't started."""
        if self.state is None:
            return ""
        if not self.done:
            return f"rackwright migrate finish {name} --execute"
        due = self.due is not None and self.due <= utc_now().timestamp()
        return f"rackwright migrate {'recheck' if due else 'certificate'} {name}"


NO_END = Finished()


def finished(store: ControlStore, log: Log) -> Finished:
    """Return how far the end is. Raise RackwrightError if a result of it is missing or was changed."""
    entry, later = newest_result(log, "finish"), newest_result(log, "recheck")
    state = result_in(store, entry, FinishState) if entry else None
    return Finished(state, result_in(store, later, Rechecked) if later else None)
