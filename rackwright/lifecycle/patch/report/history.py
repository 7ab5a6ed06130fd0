"""The patch runs that the control host still knows, and their reports. Asks only the control host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.times.zone import zone_of
from rackwright.lifecycle.patch.document import WHAT, PatchPlan, find_plan
from rackwright.lifecycle.patch.report.deviations import Calendar, Deviation, deviations
from rackwright.lifecycle.patch.report.run_report import Report, report
from rackwright.lifecycle.session.lease import control_store
from rackwright.state.journal import Entry, Event
from rackwright.state.rollout import HostRollout
from rackwright.state.store import KEPT, ControlStore


@dataclass(frozen=True)
class PatchReport:
    report: Report
    deviations: tuple[Deviation, ...]


def patch_report(fleet: Fleet, run: str | None) -> PatchReport:
    """Return the report of the run with this id, or whose id starts so; None: of the last run.

    Raise UsageError if the control host knows no such run, RackwrightError if its plan is damaged.
    """
    with control_store(fleet) as (store, _):
        entries = store.entries()
        rollout, plan = _found(store, _chosen(_ids(entries), run))
    own = [entry for entry in entries if entry.rollout == rollout.id]
    made = report(fleet.file.fleet, rollout, plan, own)
    return PatchReport(made, deviations(made, calendar_of(fleet)))


def patch_runs(fleet: Fleet) -> tuple[Entry, ...]:
    """Return the entries that opened the last runs, oldest first."""
    with control_store(fleet) as (store, _):
        return _opened(store.entries())


def calendar_of(fleet: Fleet) -> Calendar:
    """Return when the fleet's hosts may be patched. Raise RackwrightError if its time zone is unknown here."""
    patch = fleet.file.patch
    return Calendar(patch.windows if patch else (), patch.freezes if patch else (), zone_of(fleet))


def _opened(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    runs = [entry for entry in entries if entry.event is Event.OPENED and entry.detail == WHAT]
    return tuple(runs[-KEPT:])


def _ids(entries: Sequence[Entry]) -> tuple[str, ...]:
    return tuple(entry.rollout for entry in _opened(entries))


def _chosen(ids: Sequence[str], run: str | None) -> str:
    if not ids:
        raise UsageError("no patch run is known", should=f"the control host keeps the last {KEPT}")
    if run is None:
        return ids[-1]
    matching = [one for one in ids if one.startswith(run)]
    if len(matching) != 1:
        what = "starts several patch runs" if matching else "is no patch run that the control host keeps"
        raise UsageError(
            what, where=run, should=f"the runs are: {', '.join(ids)}", next="rackwright patch report --all"
        )
    return matching[0]


def _found(store: ControlStore, id: str) -> tuple[HostRollout, PatchPlan]:
    plan = find_plan(store, id)
    if plan is None or plan.rollout is None:
        raise UsageError(
            f"the plan of the patch run {id} is missing",
            should=f"the control host keeps the last {KEPT}",
            next="rackwright patch report --all",
        )
    return plan.rollout, plan
