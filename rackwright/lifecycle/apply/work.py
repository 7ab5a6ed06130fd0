"""An apply in progress, as its stages share it."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.lifecycle.apply.stages import Options
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.run import Run
from rackwright.state.lease_session import LeaseSession
from rackwright.stopping import Stopping


@dataclass(frozen=True)
class Work:
    session: Session
    lease_session: LeaseSession
    options: Options
    console: Console
    stopping: Stopping

    def going(self, run: Run) -> tuple[str, ...]:
        """Return the hosts that have not failed."""
        return tuple(name for name in self.session.hosts if name not in run.failed_hosts)
