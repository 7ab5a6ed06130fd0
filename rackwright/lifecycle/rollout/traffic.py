"""The gateways as a rollout needs them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rackwright.errors import HostError
from rackwright.fleet.fleet import Replica

if TYPE_CHECKING:
    from rackwright.gateway import Gateways


@dataclass(frozen=True)
class GatewayTraffic:
    """`who` and `reason` are written to the records of its drains."""

    gateways: Gateways
    who: str
    reason: str

    def healthy(self, model: str) -> set[str]:
        states = self.gateways.servers().values()
        return {state.address for state in states if state.model == model and state.takes_requests}

    def drained_manually(self) -> set[str]:
        return {state.address for state in self.gateways.servers().values() if state.drained_manually}

    def drain(self, replica: Replica) -> None:
        self.gateways.drain(replica.address, who=self.who, reason=self.reason, manual=False)

    def in_flight(self, replica: Replica) -> int:
        return self.gateways.in_flight(replica.address)

    def undrain(self, replica: Replica) -> None:
        self.gateways.undrain(replica.address)

    def downtime(self, replica: Replica, seconds: int) -> None:
        """For up to `seconds`, gateways queue or reject requests for the replica's model while it is down."""
        self.gateways.open_downtime(replica.model, seconds)

    def end_downtime(self, replica: Replica) -> None:
        """End the downtime of the replica's model. At a gateway that is unreachable, it ends when its time is up."""
        with suppress(HostError):
            self.gateways.close_downtime(replica.model)

    def leave(self, gateway: str) -> None:
        raise NotImplementedError

    def passing(self, gateway: str) -> int:
        raise NotImplementedError

    def rejoin(self, gateway: str) -> None:
        raise NotImplementedError
