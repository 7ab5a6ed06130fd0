"""`patch run`: bring hosts to what the archive offers, within the budgets, each with a way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from rackwright.errors import RackwrightError
from rackwright.fleet.lock import Lock
from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.patch.document import WHAT, Cve, PatchPlan, PlannedHost, Stays, keep_plan, read_plan
from rackwright.lifecycle.patch.due import due_hosts, refuse_other_drivers
from rackwright.lifecycle.patch.gate_state import refuse_closed
from rackwright.lifecycle.patch.gates import gates, look
from rackwright.lifecycle.patch.host_change import Patches, seconds_of
from rackwright.lifecycle.patch.next_drivers import under, with_drivers
from rackwright.lifecycle.patch.plan import HostPlan, Plan, patch_plan
from rackwright.lifecycle.patch.prometheus import prometheus_of
from rackwright.lifecycle.patch.well_hosts import well
from rackwright.lifecycle.reboot.procedure import Work, complete, host_parts, open_hosts, rollout_over
from rackwright.lifecycle.rollout.outage_needs import require_outages
from rackwright.lifecycle.session.agreements import Agreements, command, outages_of
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.control_host import refuse_moved
from rackwright.lifecycle.session.own_copy import compared_under_lease
from rackwright.lifecycle.session.remember import refuse_stale_checkout
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import survey
from rackwright.lifecycle.session.under_lease import leased
from rackwright.lifecycle.update.next_lock import write_next
from rackwright.report.words import counted
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import HostPart, HostRollout
from rackwright.stopping import stoppable


@dataclass(frozen=True)
class Patched:
    hosts: tuple[str, ...]
    """Those that were changed, proven, and serve."""
    plan: Plan


Started = Callable[[Sequence[str], str], None]
"""Gets the hosts that will be changed and the run's id, when the operator has agreed."""


def patch_run(
    session: Session,
    asked: Asked,
    console: Console,
    show: Callable[[Plan], None],
    started: Started = lambda _hosts, _run: None,
    unattended: Agreements | None = None,
) -> Patched:
    """Patch the hosts that have changes; return which were changed.

    The session must have all hosts: their state is part of the gates. `show` gets the plan; then the operator is
    asked. A host that needs nothing isn't touched. Raise as `complete` does, HostsFailed if a host can't be asked,
    Paused before anything is changed if a gate of the first host is closed. In an unattended run, the fleet file must
    allow what would be asked for: raise RackwrightError before anything is changed if it doesn't.
    """
    with leased(session, command(WHAT, unattended), console) as lease_session:
        refuse_moved(session.fleet, survey(session).control)
        # A run that changes drivers ends with these files as the applied ones.
        refuse_stale_checkout(
            compared_under_lease(session), console, not_stale=asked.not_stale, unattended=unattended
        )
        drivers = asked.reboot and not asked.only_security
        planned = patch_plan(session, only_security=asked.only_security, drivers=drivers, say=console.say)
        due = due_hosts(planned, asked, session.fleet)
        if not due:
            return Patched((), planned)
        refuse_other_drivers(session, due)
        _refuse_closed(session, due[0])
        order = tuple(one.host for one in due)
        show(replace(planned, schedule=replace(planned.schedule, order=order)))
        require_outages(session, unattended, console, hosts=order)
        console.confirm(f"Patch {', '.join(order)}?")
        started(order, lease_session.run)
        with stoppable(console.heard) as stopping:
            rollout = _open(session, lease_session, planned, due, asked, unattended)
            leading = under(session, rollout.after) if rollout.after else session
            work = Work(
                leading, lease_session, rollout, console, stopping, changes_of=patches_of, unattended=unattended
            )
            return Patched(complete(work), planned)


def patches_of(work: Work) -> Patches:
    """Return the changes of an open patch run. Raise RackwrightError if its plan is lost or damaged."""
    session, rollout = work.session, work.rollout
    plan = read_plan(work.lease_session.store, rollout.id)
    return Patches(
        session,
        work.lease_session,
        rollout,
        plan,
        prometheus_of(session.fleet),
        work.console,
        work.stopping,
        work.ran,
        work.unattended,
    )


def _refuse_closed(session: Session, first: HostPlan) -> None:
    """Raise RackwrightError if a gate of the first host is closed: then nothing is asked and nothing is opened."""
    seen = look(session, prometheus_of(session.fleet))
    seconds = seconds_of(session.fleet, driver=first.new_set is not None)
    judged = gates(session.fleet, first.host, seen, seconds=seconds)
    refuse_closed(first.host, judged, RackwrightError)


def _open(
    session: Session,
    lease_session: LeaseSession,
    planned: Plan,
    due: Sequence[HostPlan],
    asked: Asked,
    unattended: Agreements | None,
) -> HostRollout:
    parts = host_parts(session, {one.host: "" for one in due})
    before = session.remote.each(parts, lambda name: well(session, name).facts)
    hosts = [_part(parts[one.host], one, asked, tuple(sorted(before[one.host]))) for one in due]
    locks = _locks(session, due)
    outages = outages_of(session.fleet, unattended, allow_outage=asked.allow_outage)
    rollout = rollout_over(lease_session, "patch", WHAT, hosts, outages, locks, unattended=unattended)
    keep_plan(lease_session, _document(planned, asked, rollout))
    if locks:
        write_next(session.fleet, locks[1])
    open_hosts(lease_session, rollout)
    return rollout


def _locks(session: Session, due: Sequence[HostPlan]) -> tuple[Lock, Lock] | None:
    """Return the lock of now and that to which the run leads; None: every host keeps its driver."""
    sets = {one.host: one.new_set.coming for one in due if one.new_set}
    return (session.lock, with_drivers(session.fleet, session.lock, sets)) if sets else None


def _part(part: HostPart, planned: HostPlan, asked: Asked, before: tuple[str, ...]) -> HostPart:
    count = len(planned.state.offered)
    reboots = asked.reboot and bool(planned.reboots)
    coming = planned.new_set.coming if planned.new_set else None
    why = [counted(count, "package")] if count else []
    if coming:
        why += [f"driver {coming.version} with kernel {coming.kernel}"]
    elif reboots:
        why += [f"reboot: {planned.reboots[0]}"]
    return part.model_copy(
        update={
            "why": ", ".join(why),
            "reboots": reboots,
            "may_reboot": asked.reboot,
            "driver": coming.name if coming else None,
            "before": before,
        }
    )


def _document(planned: Plan, asked: Asked, rollout: HostRollout) -> PatchPlan:
    """Return the document that the run and its report go by."""
    known = tuple(map(_known, planned.hosts))
    return planned.document.model_copy(update={"asked": asked, "hosts": known, "rollout": rollout})


def _known(planned: HostPlan) -> PlannedHost:
    state, cves = planned.state, planned.state.cves
    return PlannedHost(
        name=planned.host,
        offered=len(state.offered),
        closes=_cves(cves.closed) if cves else None,
        leaves=_cves(cves.left) if cves else None,
        cves_unknown=state.cves_unknown,
        reboots=planned.reboots,
        stays=tuple(Stays(package=left.name, why=left.why) for left in planned.left),
    )


def _cves(found: Iterable[tuple[str, str]]) -> tuple[Cve, ...]:
    return tuple(Cve(id=cve, package=package) for cve, package in sorted(found))
