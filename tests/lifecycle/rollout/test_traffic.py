from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from rackwright.fleet.fleet import Replica
from rackwright.gateway import Gateways
from rackwright.lifecycle.rollout.traffic import GatewayTraffic


@dataclass
class Told:
    """Gateways that keep what they are told."""

    gaps: dict[str, int] = field(default_factory=dict)

    def open_gap(self, model: str, seconds: int) -> None:
        self.gaps[model] = seconds

    def close_gap(self, model: str) -> None:
        del self.gaps[model]


def test_a_gap_is_one_of_the_replicas_model() -> None:
    told = Told()
    traffic = GatewayTraffic(cast(Gateways, told), "ada", "update")
    replica = Replica("assistant", 2, "gpu1", gpus=0)
    traffic.gap(replica, 90)
    assert told.gaps == {"assistant": 90}
    traffic.end_gap(replica)
    assert told.gaps == {}
