"""The scheduled patch run: a new one, or the rest of one that a schedule opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.patch.plan import Plan
from rackwright.lifecycle.patch.run import patch_run, patches_of
from rackwright.lifecycle.reboot.resume import resume
from rackwright.lifecycle.rollout.opened import opened
from rackwright.lifecycle.schedule.turn import Result, Turn
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.session.session import Session, open_session
from rackwright.state.rollout import HostRollout

if TYPE_CHECKING:
    from rackwright.runner import Progress


@dataclass(frozen=True)
class PatchJob:
    fleet: Fleet
    show: Callable[[Plan], None]
    """Gets the plan before anything is changed."""
    progress: Callable[[Progress], None] | None = None
    """Gets each step of a deploy."""

    def __call__(self, turn: Turn) -> Result:
        """Patch the fleet within what `unattended.allow` permits; return what was done.

        A lock that couldn't be pushed is a problem of the result: the hosts are patched.
        Raise as `patch run --unattended` does: also for a rollout that a person has left open.
        """
        left, agreements = self._left(turn), Agreements(self.fleet)
        with open_session(self.fleet, progress=self.progress, lock=left.after if left else None) as session:
            done = self._done(session, left, turn, agreements)
        problems = agreements.unpublished.problems if agreements.unpublished else ()
        return Result(f"patched: {', '.join(done)}" if done else "nothing to patch", done, tuple(problems))

    def _left(self, turn: Turn) -> HostRollout | None:
        """Return the open rollout if a schedule opened it."""
        found = opened(self.fleet)
        rollout = found.rollout if found else None
        ours = isinstance(rollout, HostRollout) and rollout.procedure == "patch" and rollout.id in turn.ours
        return rollout if ours and isinstance(rollout, HostRollout) else None

    def _done(
        self, session: Session, left: HostRollout | None, turn: Turn, agreements: Agreements
    ) -> tuple[str, ...]:
        """Return the hosts that were changed."""
        if left is None:
            return patch_run(session, Asked(), turn.console, self.show, turn.started, agreements).hosts

        def started() -> None:
            turn.started([part.name for part in left.hosts], left.id, f"resumed, started by {left.who}")

        return resume(session, left, turn.console, patches_of, agreements, started=started)
