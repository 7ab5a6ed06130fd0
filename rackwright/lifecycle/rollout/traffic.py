"""The gateways as the rollout needs them."""

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
    """`who` drains, as the drain's record names them, and why."""

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
        """Within so many seconds the gateways hold or refuse requests for the replica's model while it is away."""
        self.gateways.open_downtime(replica.model, seconds)

    def end_downtime(self, replica: Replica) -> None:
        """Requests for the replica's model go on as usual, at once or where a gateway is out of reach by its end."""
        with suppress(HostError):
            self.gateways.close_downtime(replica.model)
