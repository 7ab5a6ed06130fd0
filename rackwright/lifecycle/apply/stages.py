"""What an apply is asked for, its stages, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.p2p.receivers import is_supplied
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.run import Run

if TYPE_CHECKING:
    from rackwright.lifecycle.p2p.procedure import Transferred

LOOK = "Survey the hosts"
ENTRY = "Folders, packet filter and sshd"
HOSTS = "Base system"
GPUS = "GPUs: driver and kernel"
WEIGHTS = "Weights, from host to host"
SERVICE = "Engines and gateways"
SETTLE = "Wait until every engine answers"
RESTART = "Restart engines, one at a time"
SAVE = "First snapshots"
STAGES = (LOOK, ENTRY, HOSTS, GPUS, WEIGHTS, SERVICE, SETTLE, RESTART, SAVE)
"""GPUs only where the fleet file says something of drivers, weights where hosts get them from one another."""


@dataclass(frozen=True)
class Options:
    only: tuple[str, ...] = ()
    """Roles; empty means all."""
    close_ports: bool = False
    """Whether ports close on which something listens."""
    allow_outage: bool = False
    reboot: bool = False
    """Whether hosts reboot whose new driver acts after that only."""
    not_stale: bool = False
    """Whether files are applied of which git can't tell that they are newer than those that were applied last."""


def includes(only: tuple[str, ...], role: str) -> bool:
    """Return whether an apply of `only` these roles has this one; of all if there are none."""
    return not only or role in only


@dataclass(frozen=True)
class Applied:
    run: Run
    restarted: tuple[Replica, ...] = ()
    transferred: tuple[Transferred, ...] = ()
    failure: RackwrightError | None = None
    """Why the engines were not all brought to answer, or not all restarted."""


def begin(session: Session, console: Console, stage: str) -> None:
    """Say that this stage begins, where an apply of the site has it."""
    left_out = {GPUS: not session.fleet.file.drivers, WEIGHTS: not is_supplied(session, session.hosts)}
    stages = tuple(one for one in STAGES if not left_out.get(one))
    if stage in stages:
        console.stage(stage, stages)
