"""Ask the hosts which weights the replicas of a model run now."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.errors import HostError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.targets import targets
from rackwright.remote import Remote
from rackwright.remote.answers import read_each
from rackwright.roles.replica.state import COMMAND, ReplicaState, parse

TIMEOUT = 60
"""Seconds."""


@dataclass(frozen=True)
class Running:
    replica: str
    """HOST/MODEL@N."""
    state: str | None
    """The probe's state with its reason; None: not installed yet, or its host doesn't answer."""
    weights: tuple[str, ...] = ()
    """First digits of the digests of the weights that its engine uses, including adapters."""
    unreachable: str | None = None
    """Why its host doesn't answer."""


def running(fleet: Fleet, model: str) -> tuple[Running, ...]:
    """Ask the hosts of the model's replicas; change nothing.

    Raise SecretError if a sudo password doesn't resolve.
    """
    replicas = fleet.replicas_of(model)
    hosts = tuple(dict.fromkeys(replica.host for replica in replicas))
    if not hosts:
        return ()
    with Remote(targets(fleet, hosts)) as remote:
        asked = remote.run_on(hosts, dict.fromkeys(hosts, COMMAND), timeout=TIMEOUT)
    answers = read_each(asked, "asking for the replicas' states", parse)
    return tuple(_running(replica, answers[replica.host]) for replica in replicas)


def _running(replica: Replica, answer: tuple[ReplicaState, ...] | HostError) -> Running:
    if isinstance(answer, HostError):
        return Running(replica.address, None, unreachable=answer.problems[0].line())
    found = next((state for state in answer if state.replica == replica.name), None)
    return Running(replica.address, found.said, found.weights) if found else Running(replica.address, None)
