from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from rackwright.fleet.fleet import Replica
from rackwright.gateway import Gateways
from rackwright.lifecycle.rollout.traffic import GatewayTraffic


@dataclass
class Told:
    """Gateways that keep the commands that they get."""

    downtimes: dict[str, int] = field(default_factory=dict)

    def open_downtime(self, model: str, seconds: int) -> None:
        self.downtimes[model] = seconds

    def close_downtime(self, model: str) -> None:
        del self.downtimes[model]


def test_a_downtime_is_one_of_the_replicas_model() -> None:
    told = Told()
    traffic = GatewayTraffic(cast(Gateways, told), "ada", "update")
    replica = Replica("assistant", 2, "gpu1", gpus=0)
    traffic.downtime(replica, 90)
    assert told.downtimes == {"assistant": 90}
    traffic.end_downtime(replica)
    assert told.downtimes == {}
