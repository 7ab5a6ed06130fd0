from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.rollout.traffic import GatewayTraffic


@dataclass
class Told:
    """Gateways that keep the commands that they get."""

    downtimes: dict[str, int] = field(default_factory=dict)

    def open_downtime(self, model: str, seconds: int, *, early: int) -> None:
        self.downtimes[model] = seconds

    def close_downtime(self, model: str) -> None:
        del self.downtimes[model]


def traffic(**session: Any) -> GatewayTraffic:
    made: Any = SimpleNamespace(**session)
    return GatewayTraffic(made, "ada", "update")


def test_a_downtime_is_one_of_the_replicas_model() -> None:
    told = Told()
    made = traffic(gateways=told)
    replica = Replica("assistant", 2, "gpu1", gpus=0)
    made.downtime(replica, 90)
    assert told.downtimes == {"assistant": 90}
    made.end_downtime(replica)
    assert told.downtimes == {}


@pytest.mark.parametrize(("manual", "left"), [(True, True), (False, False), (None, False)])
def test_only_an_operator_takes_a_gateway_out_manually(manual: bool | None, left: bool) -> None:
    records = {} if manual is None else {"gate1": SimpleNamespace(manual=manual)}
    made = traffic(leaving=SimpleNamespace(records=lambda: records))
    assert made.left_manually("gate1") is left
    assert made.takes_requests("gate1") is (manual is None)
