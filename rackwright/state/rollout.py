"""What a rollout is about, kept on the control host while it is open: enough to go on from another machine."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.errors import RackwrightError
from rackwright.fleet.lock import Lock
from rackwright.state.formats import Moment, parse
from rackwright.state.lease_session import LeaseSession
from rackwright.state.store import ControlStore
from rackwright.values.base import Stored
from rackwright.values.text import Name, Sha256


class Rollout(Stored):
    """From one lock to another, by a fleet file that stays as it is."""

    format: str = "rollout/1"
    id: str
    """The run that opened it."""
    what: str
    """The command, like `model update assistant`."""
    who: str
    when: Moment
    models: tuple[Name, ...]
    """Whose engines it changes."""
    outages: tuple[Name, ...] = ()
    """Models that may be without service meanwhile."""
    units: Mapping[str, Sha256]
    """HOST/MODEL@N, each member's too → sha256 of the unit that it gets."""
    due: tuple[str, ...]
    """HOST/MODEL@N of the replicas that didn't run by the new lock when it was opened."""
    taken: tuple[str, ...]
    """HOST/MODEL@N of the replicas whose units were others when it was opened: only they can go back."""
    idle: tuple[str, ...] = ()
    """HOST/MODEL@N of those that served nobody when it was opened: going back they need not either."""
    canaries: tuple[Name, ...] = ()
    """Models of which the first replica is tried before the others follow."""
    files: Sha256
    """Digest of the fleet file and what it extends."""
    commit: str | None = None
    """Of the operator's checkout, where git keeps it."""
    before: Lock
    after: Lock


def write_rollout(lease_session: LeaseSession, rollout: Rollout) -> None:
    """The control host keeps it afterwards, on disk. Raise LeasedError if the lease has ended."""
    lease_session.keep(_name(rollout.id), rollout.model_dump_json(indent=1) + "\n")


def read_rollout(store: ControlStore, id: str) -> Rollout:
    """Return what the rollout with this id is about. Raise RackwrightError if that is lost, newer or damaged."""
    text = store.kept(_name(id))
    if text is None:
        raise RackwrightError(
            f"nothing is kept of the rollout {id}",
            should="its locks should stand beside its journal",
            next="rackwright rollout abort --leave",
        )
    return parse(Rollout, "rollout", text, f"rollout {id}")


def _name(id: str) -> str:
    return f"rollout-{id}.json"
