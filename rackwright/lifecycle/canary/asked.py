"""The golden set asked of both versions, and of the running one twice: how far apart alike answers are."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.site import Site
from rackwright.stopping import Stopping
from rackwright.verdict import GoldenAnswers


@dataclass(frozen=True)
class AskedGolden:
    site: Site
    digest: str

    @classmethod
    def read(cls, site: Site, model: str) -> AskedGolden | None:
        rules = site.fleet.file.models[model].canary
        if rules is None or rules.golden is None:
            return None
        raise FleetError([Problem(f"models.{model}.canary.golden", "not there yet")])

    def __len__(self) -> int:
        return 0

    def answers(self, running: Replica, canary: Replica, stopping: Stopping) -> GoldenAnswers:
        raise NotImplementedError
