"""What clients notice of an apply, as far as the plan can tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.gpus.assignment import Deferred
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey


@dataclass(frozen=True)
class ModelRestart:
    """The restarts of a model's engines that serve now."""

    model: str
    engines: int
    others_serve: bool
    """Whether another replica answers while one restarts; if not, that is downtime."""


def model_restarts(
    session: Session, surveyed: Survey, restarts: Iterable[Replica], deferred: Iterable[Deferred]
) -> tuple[ModelRestart, ...]:
    """Return the restarts by model, without models of which no engine that restarts serves."""
    drained = {address for host in surveyed.hosts.values() for address in host.drains}
    waiting = {one.replica for one in deferred}
    serving = [replica for replica in restarts if replica.address not in drained and _runs(surveyed, replica)]
    found = []
    for model in dict.fromkeys(replica.model for replica in serving):
        others = [
            replica.address
            for replica in session.fleet.replicas_of(model)
            if replica.address not in drained and replica not in waiting and not _is_lost(surveyed, replica)
        ]
        count = sum(replica.model == model for replica in serving)
        found.append(ModelRestart(model, count, len(others) > 1))
    return tuple(found)


def _runs(surveyed: Survey, replica: Replica) -> bool:
    host = surveyed.hosts.get(replica.host)
    state = host.replicas.get(replica.name) if host else None
    return state is not None and state.active == "active"


def _is_lost(surveyed: Survey, replica: Replica) -> bool:
    return bool(set(replica.hosts) & set(surveyed.unreachable))
