"""What a person drained is drained at every gateway: also at one that was away then, or is new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rackwright.errors import HostError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.ports import port_of
from rackwright.gateway import DrainRecord
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey


@dataclass(frozen=True)
class MissingDrain:
    """One gateway doesn't know what another has written down."""

    gateway: str
    replica: Replica
    record: DrainRecord


def missing_drains(session: Session, surveyed: Survey) -> Iterator[MissingDrain]:
    """Yield what gateways that answered don't know of the drains by hand that others of them have."""
    gateways = {name: surveyed.hosts[name].drains for name in session.fleet.gateways if name in surveyed.hosts}
    for replica in session.fleet.replicas:
        records = [drains[replica.address] for drains in gateways.values() if replica.address in drains]
        manual = next((record for record in records if record.manual), None)
        if manual is None:
            continue
        for name, drains in gateways.items():
            if replica.address not in drains or not drains[replica.address].manual:
                yield MissingDrain(name, replica, manual)


def copy_drains(session: Session, missing: Sequence[MissingDrain]) -> dict[str, str]:
    """Afterwards the gateways know these drains, before they start if they don't run yet; return those that can't be
    told, with why."""
    failed: dict[str, str] = {}
    for drain in missing:
        port = port_of(session.lock, drain.replica)
        try:
            session.gateways.only((drain.gateway,)).copy_drain(drain.replica.address, port, drain.record)
        except HostError as error:
            failed[drain.gateway] = error.problems[0].what
    return failed
