"""The options of an apply, its stages, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rackwright.errors import RackwrightError
from rackwright.fleet.backup_access import kit_repositories
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.p2p.receivers import is_supplied
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.run import Run

if TYPE_CHECKING:
    from rackwright.lifecycle.p2p.procedure import Transferred

SURVEY = "Survey the hosts"
ENTRY = "Folders, packet filter and sshd"
HOSTS = "Base system"
CONTROL = "Control hosts, one after the other"
GPUS = "GPUs: driver and kernel"
WEIGHTS = "Weights, from host to host"
SERVICE = "Engines and gateways"
SETTLE = "Wait until every engine answers"
RESTART = "Restart engines"
SAVE = "First snapshots"
KIT = "The kit"
STAGES = (SURVEY, ENTRY, HOSTS, CONTROL, GPUS, WEIGHTS, SERVICE, SETTLE, RESTART, SAVE, KIT)
"""CONTROL only if there are several control hosts, GPUS only if the fleet file has drivers, WEIGHTS only if hosts get
weights from one another, KIT only if a repository has a kit."""


@dataclass(frozen=True)
class Options:
    only: tuple[str, ...] = ()
    """Roles; empty means all."""
    close_ports: bool = False
    """Whether to close ports that something listens on."""
    allow_outage: bool = False
    drop_names: bool = False
    """Whether names that clients used lately may be dropped."""
    reboot: bool = False
    """Whether to reboot hosts whose new driver needs it."""
    not_stale: bool = False
    """Whether to apply files even if git can't show that they are newer than those applied last."""
    unattended: Agreements | None = None
    """None: a person is asked, or has agreed with options."""


def includes(only: tuple[str, ...], role: str) -> bool:
    """Return whether an apply of `only` these roles, or of all if there are none, includes this role."""
    return not only or role in only


@dataclass(frozen=True)
class Applied:
    run: Run
    restarted: tuple[Replica, ...] = ()
    transferred: tuple[Transferred, ...] = ()
    failure: RackwrightError | None = None
    """Why not all engines answer, or not all were restarted."""
    unsaved: RackwrightError | None = None
    """Which first snapshots, or which kit, could not be saved. The service works without them."""


def begin(session: Session, console: Console, stage: str) -> None:
    """Print that this stage starts, if an apply of this fleet has it."""
    left_out = {
        CONTROL: not session.fleet.etcd_hosts,
        GPUS: not session.fleet.file.drivers,
        WEIGHTS: not is_supplied(session, session.hosts),
        KIT: not kit_repositories(session.fleet),
    }
    stages = tuple(one for one in STAGES if not left_out.get(one))
    if stage in stages:
        console.stage(stage, stages)
