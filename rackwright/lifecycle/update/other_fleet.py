"""What another fleet has proven about a model: the entry in its lock, and the answer on its control host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rackwright.errors import FleetError, Problem, ProofError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.lock_file import read_lock, require_match
from rackwright.fleet.naming import unknown_model
from rackwright.fleet.targets import targets
from rackwright.lifecycle.proof.golden_answers import kind_by
from rackwright.lifecycle.session.control_store import store_of
from rackwright.remote import Remote
from rackwright.state.golden import Golden, read_golden
from rackwright.state.lease_session import refuse_open_rollout
from rackwright.state.store import ControlStore


@dataclass(frozen=True)
class Proven:
    fleet: Fleet
    lock: Lock
    golden: Golden
    """The first answer of an engine there with these weights, recorded when it was proven."""


def proven_by(path: Path, name: str) -> Proven:
    """Return what the fleet at `path` has proven about the model in its lock. This changes nothing there.

    Raise ProofError if no replica there was proven with the lock's weights and runtime, LeasedError if a rollout is
    open there, FleetError if the fleet file or its lock isn't valid, HostError if its control host can't be asked.
    """
    fleet = load_fleet(path)
    if name not in fleet.file.models:
        raise unknown_model(fleet, name)
    lock = read_lock(fleet.sibling("lock"))
    require_match(fleet, lock)
    with Remote(targets(fleet)) as remote:
        return Proven(fleet, lock, recorded(fleet, lock, name, store_of(fleet, remote)))


def recorded(fleet: Fleet, lock: Lock, name: str, store: ControlStore) -> Golden:
    """Return the recorded answer of one of the model's replicas. Raise as `proven_by`."""
    refuse_open_rollout(store)
    replicas = fleet.replicas_of(name)
    if not replicas:
        raise FleetError([Problem(f"{fleet.path} models.{name}", "isn't placed on any host in service")])
    kinds = dict.fromkeys(kind_by(fleet, lock, replica) for replica in replicas)
    for kind in kinds:
        if golden := read_golden(store, kind):
            return golden
    raise ProofError(
        f"{name} {lock.models[name].digest[:16]} was not proven on any replica of {fleet.file.fleet}",
        where=str(fleet.sibling("lock")),
        should="an engine there must first answer with these weights",
        next=f"rackwright -f {fleet.path} apply",
    )
