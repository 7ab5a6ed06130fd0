"""`patch run`: bring hosts to what the archive offers, within the budgets, each with a way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rackwright.errors import HostsFailed, RackwrightError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.patch.document import WHAT, Cve, PatchPlan, PlannedHost, Stays, keep_plan, read_plan
from rackwright.lifecycle.patch.findings import no_way_back
from rackwright.lifecycle.patch.gate_state import refuse_closed
from rackwright.lifecycle.patch.gates import gates, look
from rackwright.lifecycle.patch.host_change import Patches, seconds_of
from rackwright.lifecycle.patch.plan import HostPlan, Plan, patch_plan
from rackwright.lifecycle.patch.prometheus import prometheus_of
from rackwright.lifecycle.patch.well_hosts import well
from rackwright.lifecycle.reboot.procedure import Work, complete, host_parts, open_hosts, rollout_over
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.control_host import refuse_moved
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import survey
from rackwright.lifecycle.session.under_lease import leased
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import HostPart, HostRollout
from rackwright.stopping import stoppable


@dataclass(frozen=True)
class Patched:
    hosts: tuple[str, ...]
    """Those that were changed, proven, and serve."""
    plan: Plan


def patch_run(session: Session, asked: Asked, console: Console, show: Callable[[Plan], None]) -> Patched:
    """Patch the hosts that have changes; return which were changed.

    The session must have all hosts: their state is part of the gates. `show` gets the plan; then the operator is
    asked. A host that needs nothing isn't touched. Raise as `complete` does, HostsFailed if a host can't be asked,
    Paused before anything is changed if a gate of the first host is closed.
    """
    with leased(session, WHAT, console) as lease_session:
        refuse_moved(session.fleet, survey(session).control)
        planned = patch_plan(session, only_security=asked.only_security, drivers=False, say=console.say)
        due = _due(planned, asked, session.fleet)
        if not due:
            return Patched((), planned)
        _refuse_closed(session, due[0].host)
        order = tuple(one.host for one in due)
        show(replace(planned, schedule=replace(planned.schedule, order=order)))
        console.confirm(f"Patch {', '.join(order)}?")
        with stoppable(console.heard) as stopping:
            outages = tuple(session.fleet.file.models) if asked.allow_outage else ()
            rollout = _open(session, lease_session, planned, due, asked, outages)
            work = Work(session, lease_session, rollout, console, stopping, changes_of=patches_of)
            return Patched(complete(work), planned)


def patches_of(work: Work) -> Patches:
    """Return the changes of an open patch run. Raise RackwrightError if its plan is lost or damaged."""
    session, rollout = work.session, work.rollout
    plan = read_plan(work.lease_session.store, rollout.id)
    return Patches(
        session, work.lease_session, rollout, plan, prometheus_of(session.fleet), work.console, work.stopping
    )


def _due(planned: Plan, asked: Asked, fleet: Fleet) -> tuple[HostPlan, ...]:
    """Return the hosts that change, in their order."""
    named = {*asked.hosts, *((asked.canary,) if asked.canary else ())}
    if unknown := sorted(named - {*fleet.hosts}):
        raise UsageError(f"not in service: {', '.join(unknown)}", should=f"the hosts are: {', '.join(fleet.hosts)}")
    wanted = [one for one in planned.hosts if not asked.hosts or one.host in asked.hosts]
    if failed := {name: why for name, why in planned.failed.items() if not asked.hosts or name in asked.hosts}:
        raise HostsFailed(
            "what these hosts need isn't known",
            should="every host that is patched must answer",
            next="rackwright patch plan",
            listed=[f"{name}: {why}" for name, why in failed.items()],
        )
    due = [one for one in wanted if one.state.offered or (asked.reboot and one.reboots)]
    if asked.canary and asked.canary not in (one.host for one in due):
        raise UsageError(
            f"{asked.canary} can't be the canary: nothing would change there",
            should="a host that the run changes" + (", and that -l names" if asked.hosts else ""),
            next="rackwright patch plan",
        )
    if blocked := [f"{one.host}: {why}" for one in due for why in (*one.in_the_way, *_without_way_back(one))]:
        raise RackwrightError(
            "not all of these hosts can be patched",
            should="settle this first",
            next="rackwright patch plan",
            listed=blocked,
        )
    return tuple(sorted(due, key=lambda one: one.host != asked.canary))


def _without_way_back(planned: HostPlan) -> Iterator[str]:
    for offered in no_way_back(planned.state):
        yield f"{offered.name} could not be reverted: its version before can't be had; apt-mark hold leaves it out"


def _refuse_closed(session: Session, host: str) -> None:
    """Raise RackwrightError if a gate of the first host is closed: then nothing is asked and nothing is opened."""
    seen = look(session, prometheus_of(session.fleet))
    judged = gates(session.fleet, host, seen, seconds=seconds_of(session.fleet))
    refuse_closed(host, judged, RackwrightError)


def _open(
    session: Session,
    lease_session: LeaseSession,
    planned: Plan,
    due: Sequence[HostPlan],
    asked: Asked,
    outages: tuple[str, ...],
) -> HostRollout:
    parts = host_parts(session, {one.host: "" for one in due})
    before = session.remote.each(parts, lambda name: well(session, name).facts)
    hosts = [_part(parts[one.host], one, asked, tuple(sorted(before[one.host]))) for one in due]
    rollout = rollout_over(lease_session, "patch", WHAT, hosts, outages)
    keep_plan(lease_session, _document(planned, asked, rollout))
    open_hosts(lease_session, rollout)
    return rollout


def _part(part: HostPart, planned: HostPlan, asked: Asked, before: tuple[str, ...]) -> HostPart:
    count = len(planned.state.offered)
    reboots = asked.reboot and bool(planned.reboots)
    why = [f"{count} package{'s' if count != 1 else ''}"] if count else []
    why += [f"reboot: {planned.reboots[0]}"] if reboots else []
    return part.model_copy(
        update={"why": ", ".join(why), "reboots": reboots, "may_reboot": asked.reboot, "before": before}
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
