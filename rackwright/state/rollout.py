"""What a rollout is about, stored on the control host, so that another machine can resume it.

The document's format names the procedure that opened the rollout: an update from one lock to another, or a change
of hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rackwright.errors import RackwrightError
from rackwright.fleet.lock import Lock
from rackwright.state.formats import Moment, NewerFormat, kind_of, parse
from rackwright.state.lease_session import LeaseSession
from rackwright.state.store import ControlStore
from rackwright.values.base import Stored
from rackwright.values.text import Line, Name, Sha256


class Rollout(Stored):
    """A change from one lock to another with an unchanged fleet file."""

    format: str = "rollout/1"
    id: str
    """The run that opened it."""
    what: str
    """The command, like `model update assistant`."""
    who: str
    when: Moment
    models: tuple[Name, ...]
    """Models whose engines it changes."""
    outages: tuple[Name, ...] = ()
    """Models for which downtime is allowed."""
    units: Mapping[str, Sha256]
    """HOST/MODEL@N, also of each member of a replica group → sha256 of its new unit."""
    due: tuple[str, ...]
    """HOST/MODEL@N of the replicas that did not run the new lock when the rollout was opened."""
    taken: tuple[str, ...]
    """HOST/MODEL@N of the replicas that had another unit when the rollout was opened: only these can be reverted."""
    idle: tuple[str, ...] = ()
    """HOST/MODEL@N of the replicas that did not serve when it was opened: after a revert they need not serve."""
    canaries: tuple[Name, ...] = ()
    """Models whose first replica is tried as a canary before the others are updated."""
    unattended: tuple[Line, ...] | None = None
    """The settings in `unattended.allow` that answered for the run which opened it; None: a person opened it."""
    files: Sha256
    """Digest of the fleet file and what it extends."""
    commit: str | None = None
    """Commit of the operator's checkout, if it is in git."""
    before: Lock
    after: Lock


class HostPart(Stored):
    """The part of one host in a rollout that changes hosts."""

    name: Name
    why: str
    """Why it changes."""
    boot: str
    """Which boot it was when the rollout was opened."""
    replicas: tuple[str, ...] = ()
    """HOST/MODEL@N of the replicas whose engines ran then: the change drains them."""
    idle: tuple[str, ...] = ()
    """Those of them that did not serve: they need not serve afterwards."""
    reboots: bool = True
    """Whether the change includes a reboot. One for a driver is left out if it turns out that none is needed."""
    may_reboot: bool = False
    """Of a patch: whether it also reboots if the packages ask for it once they are installed."""
    driver: Line | None = None
    """Name of the set of driver and kernel that it gets, in the lock `after`; None: it keeps its own."""
    before: tuple[str, ...] = ()
    """Of a patch: what the host was like, in the lines of roles/patch/well.py."""


class HostRollout(Stored):
    """A change of hosts with all their replicas."""

    format: str = "host-rollout/1"
    procedure: Literal["reboot", "patch"]
    """What is done to each host: see lifecycle/reboot and lifecycle/patch."""
    id: str
    """The run that opened it."""
    what: str
    """The command, like `apply --reboot`."""
    who: str
    when: Moment
    hosts: tuple[HostPart, ...]
    """In the order in which they change."""
    outages: tuple[Name, ...] = ()
    """Models for which downtime is allowed."""
    unattended: tuple[Line, ...] | None = None
    """The settings in `unattended.allow` that answered for the run which opened it; None: a person opened it."""
    before: Lock | None = None
    """The lock when it was opened; None: the lock stays."""
    after: Lock | None = None
    """The lock that it leads to if all hosts change: the drivers of some hosts are others. None: the lock stays."""


AnyRollout = Rollout | HostRollout


def write_rollout(lease_session: LeaseSession, rollout: AnyRollout) -> None:
    """Store it on the control host's disk. Raise LeasedError if the lease has ended."""
    lease_session.keep(_name(rollout.id), rollout.model_dump_json(indent=1) + "\n")


def read_rollout(store: ControlStore, id: str) -> AnyRollout:
    """Return the rollout with this id. Raise RackwrightError if its file is lost, damaged or of a newer format."""
    text = store.kept(_name(id))
    if text is None:
        raise RackwrightError(
            f"the file of the rollout {id} is missing",
            should="its locks should be stored next to the journal",
            next="rackwright rollout abort --leave",
        )
    return parse_rollout(text, f"rollout {id}")


def parse_rollout(text: str, where: str) -> AnyRollout:
    """Given a stored document, return the rollout.

    Raise RackwrightError if it is damaged, NewerFormat if it is too new or of a procedure that this version lacks.
    """
    kind = kind_of(text)
    if kind == "host-rollout":
        return parse(HostRollout, kind, text, where)
    if kind not in (None, "rollout"):
        raise NewerFormat(
            f"was written by a newer rackwright ({kind})",
            where=where,
            should="this rackwright reads rollout/1 and host-rollout/1",
            next="install the newer version of rackwright",
        )
    return parse(Rollout, "rollout", text, where)


def _name(id: str) -> str:
    return f"rollout-{id}.json"
