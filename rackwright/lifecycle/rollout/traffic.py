"""The gateways as a rollout needs them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from rackwright.errors import HostError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.drain.gateway_host import rejoin
from rackwright.lifecycle.session.session import Session


@dataclass(frozen=True)
class GatewayTraffic:
    """`who` and `reason` are written to the records of its drains."""

    session: Session
    who: str
    reason: str
    allow_outage: bool = False
    """Whether the only gateway may be taken out of service."""

    def healthy(self, model: str) -> set[str]:
        states = self.session.gateways.servers().values()
        return {state.address for state in states if state.model == model and state.takes_requests}

    def drained_manually(self) -> set[str]:
        return {state.address for state in self.session.gateways.servers().values() if state.drained_manually}

    def drained_by_runs(self) -> set[str]:
        states = self.session.gateways.servers().values()
        return {state.address for state in states if state.drained and not state.drained_manually}

    def takes_requests(self, gateway: str) -> bool:
        return gateway not in self.session.leaving.records()

    def left_manually(self, gateway: str) -> bool:
        record = self.session.leaving.records().get(gateway)
        return record is not None and record.manual

    def drain(self, replica: Replica) -> None:
        self.session.gateways.drain(replica.address, who=self.who, reason=self.reason, manual=False)

    def in_flight(self, replica: Replica) -> int:
        return self.session.gateways.in_flight(replica.address)

    def queued(self, model: str) -> int:
        return self.session.gateways.queued(model)

    def undrain(self, replica: Replica) -> None:
        self.session.gateways.undrain(replica.address)

    def downtime(self, replica: Replica, seconds: int, *, early: int = 0) -> None:
        """For up to `seconds`, gateways queue or reject requests for the replica's model while it is down."""
        self.session.gateways.open_downtime(replica.model, seconds, early=early)

    def end_downtime(self, replica: Replica) -> None:
        """End the downtime of the replica's model. At a gateway that is unreachable, it ends when its time is up."""
        with suppress(HostError):
            self.session.gateways.close_downtime(replica.model)

    def leave(self, gateway: str) -> None:
        self.session.leaving.leave(
            gateway, who=self.who, reason=self.reason, manual=False, allow_outage=self.allow_outage
        )

    def passing(self, gateway: str) -> int:
        return self.session.leaving.open_connections(gateway)

    def rejoin(self, gateway: str) -> None:
        rejoin(self.session, gateway)
