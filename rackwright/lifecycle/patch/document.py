"""The document of a patch run: the packages that hosts get, and what was known about them when it was opened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rackwright.errors import LeasedError
from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.patch.kinds import Kind
from rackwright.package_set import PackageChange
from rackwright.state.formats import parse
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import HostRollout
from rackwright.state.store import ControlStore
from rackwright.values.base import Stored
from rackwright.values.text import Line, Name

WHAT = "patch run"
"""The command, as its rollout has it."""


class Stays(Stored):
    """An installed package that stays at its version, though apt may have another one."""

    package: Line
    why: Line


class Cve(Stored):
    """A vulnerability of an installed package, in Debian's data."""

    id: Line
    package: Line


class PlannedHost(Stored):
    """What was known about a host when the run was opened, also about one that the run doesn't change."""

    name: Name
    offered: int = 0
    """How many packages apt offered."""
    closes: tuple[Cve, ...] | None = None
    """What the packages of the plan close; None: not known."""
    leaves: tuple[Cve, ...] | None = None
    """What the host still has with them; None: not known."""
    cves_unknown: Line = ""
    """Why they aren't known, if the host said why."""
    reboots: tuple[Line, ...] = ()
    """Why it needs a reboot."""
    stays: tuple[Stays, ...] = ()


class PatchPlan(Stored):
    """The packages of a patch run, each file by size and sha256: what every host of a kind gets."""

    format: Literal["patch-plan/1"] = "patch-plan/1"
    only_security: bool = False
    kinds: tuple[Kind, ...]
    """Hosts without changes are in none."""
    asked: Asked | None = None
    """None: `patch plan` made it."""
    hosts: tuple[PlannedHost, ...] = ()
    """All hosts that answered; empty: `patch plan` made it."""
    rollout: HostRollout | None = None
    """The rollout that it belongs to. Its own document may be removed earlier: updates have rollouts, too."""

    def changes(self, host: str) -> tuple[PackageChange, ...]:
        """Return the packages that the host gets."""
        return next((kind.changes for kind in self.kinds if host in kind.hosts), ())


def plan_document(kinds: Iterable[Kind], *, only_security: bool) -> PatchPlan:
    """Return the document of a plan: every host of a kind gets what is in it."""
    return PatchPlan(only_security=only_security, kinds=tuple(kinds))


def keep_plan(lease_session: LeaseSession, plan: PatchPlan) -> None:
    """Store the plan of this run on the control host's disk. Raise LeasedError if the lease has ended."""
    lease_session.keep(_name(lease_session.run), plan.model_dump_json(indent=1) + "\n")


def find_plan(store: ControlStore, run: str) -> PatchPlan | None:
    """Return the plan of the run, None if there is none. Raise RackwrightError if it is damaged."""
    text = store.kept(_name(run))
    return parse(PatchPlan, "patch-plan", text, f"patch run {run}") if text else None


def read_plan(store: ControlStore, run: str) -> PatchPlan:
    """Return the plan of the run. Raise LeasedError if it is lost, RackwrightError if it is damaged."""
    plan = find_plan(store, run)
    if plan is None:
        raise LeasedError(
            f"the plan of the patch run {run} is missing",
            should="it should be stored next to the journal",
            next="rackwright rollout abort --leave",
        )
    return plan


def _name(run: str) -> str:
    return f"patch-{run}.json"
