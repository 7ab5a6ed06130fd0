"""What the gateways' own log says about the requests of one key."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from rackwright.lab.hosts import Lab
from rackwright.roles.gateway.access_log import Access, parse_access
from tests.lab.load.sample import Sample

_LOG = "journalctl --sync; journalctl -q -t rackwright-access -p info..info -o cat"


def accesses(lab: Lab, gateways: Iterable[str], key: str) -> dict[str | None, Access]:
    """Return the requests of this key that the gateways have logged, by id."""
    return {access.request: access for access in logged(lab, gateways) if access.key == key}


def logged(lab: Lab, gateways: Iterable[str]) -> list[Access]:
    """Return all requests that the gateways have logged."""
    lines = [line for gateway in gateways for line in lab.exec(gateway, _LOG).out.splitlines()]
    return [parse_access(line) for line in lines]


def lost_by(log: dict[str | None, Access], samples: Iterable[Sample]) -> list[str]:
    """Return the differences between the clients' results and the gateways' log. Both should have all answers."""
    samples = list(samples)
    lost = [f"client: {sample.failure} {sample.detail} {sample.request}" for sample in samples if sample.failure]
    seen = {sample.request for sample in samples}
    lost += [
        f"not in the log: {sample.request}" for sample in samples if not sample.failure and sample.request not in log
    ]
    lost += [
        f"log: {access.status} {access.end} {access.replica} {request}"
        for request, access in log.items()
        if request in seen and (access.status, access.end) != (200, "completed")
    ]
    return lost + [f"no client knows of it: {request}" for request in log.keys() - seen]


@dataclass(frozen=True)
class Drained:
    """A period during which no gateway should have sent new requests to a replica, in seconds since 1970."""

    replica: str
    since: float
    until: float = float("inf")


def reached(log: Collection[Access], drained: Iterable[Drained]) -> list[str]:
    """Return the requests that a gateway sent to a replica while it was drained."""
    return [
        f"reached {one.replica} while it was drained: {access.request}"
        for one in drained
        for access in log
        if access.replica == one.replica and one.since < _sent(access) < one.until
    ]


def _sent(access: Access) -> float:
    return access.time.timestamp() + (access.queued_ms or 0) / 1000
