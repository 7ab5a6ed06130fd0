"""Deploys on one real lab host, through the same engine that the tool uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rackwright.lab.hosts import Lab, LabFleet
from rackwright.remote import Remote
from rackwright.run import Run
from rackwright.runner import Runner
from rackwright.values.targets import Target
from tests.times.recorder import spent


@dataclass(frozen=True)
class LabHost:
    lab: Lab
    fleet: LabFleet
    name: str

    @property
    def address(self) -> str:
        return self.fleet.hosts[self.name]

    def target(self) -> Target:
        fleet = self.fleet
        return Target(self.name, self.address, user=fleet.user, key=fleet.key, known_hosts=fleet.known_hosts)

    @spent("deploy, planned")
    def plan(self, deploy: Callable[[], object]) -> Run:
        with Remote([self.target()]) as remote:
            return Runner(remote).plan(deploy, {self.name: None})

    @spent("deploy, applied")
    def apply(self, deploy: Callable[[], object]) -> Run:
        """Apply the deploy over a fresh connection."""
        with Remote([self.target()]) as remote:
            return Runner(remote).apply(deploy, {self.name: None})

    def applied(self, deploy: Callable[[], object]) -> Run:
        """Apply, and fail the test unless everything succeeded."""
        run = self.apply(deploy)
        assert not run.failed_hosts, [step for step in run.steps if step.output] or run.unreachable
        return run

    def tell(self, command: str) -> str:
        """Return what the command prints, run as root without SSH."""
        return self.lab.exec(self.name, command).out.strip()

    def holds(self, command: str) -> bool:
        return self.lab.exec(self.name, command, check=False).code == 0
