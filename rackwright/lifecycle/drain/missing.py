"""A replica that an operator drained is drained at every gateway, even one that was down at the time or is new."""

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
    """A manual drain that one gateway has recorded and another hasn't."""

    gateway: str
    replica: Replica
    record: DrainRecord


def missing_drains(session: Session, surveyed: Survey) -> Iterator[MissingDrain]:
    """Yield each manual drain that one reachable gateway has and another reachable gateway lacks."""
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
    """Copy these drains to their gateways; one that isn't running yet has them when it starts.

    Return the gateways that failed, with the reason.
    """
    failed: dict[str, str] = {}
    for drain in missing:
        port = port_of(session.lock, drain.replica)
        try:
            session.gateways.only((drain.gateway,)).copy_drain(drain.replica.address, port, drain.record)
        except HostError as error:
            failed[drain.gateway] = error.problems[0].what
    return failed
