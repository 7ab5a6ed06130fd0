"""`patch plan --json`."""

from __future__ import annotations

from dataclasses import asdict

from rackwright.cli.common.context import Json
from rackwright.lifecycle.patch.findings import SetChange, no_way_back
from rackwright.lifecycle.patch.plan import HostPlan, Plan
from rackwright.lifecycle.patch.schedule import Schedule


def patch_document(plan: Plan) -> dict[str, Json]:
    """Return the plan as one JSON document; `plan` in it is what a run keeps."""
    return {
        "plan": plan.document.model_dump(mode="json"),
        "hosts": [_host(host) for host in plan.hosts],
        "builds": [asdict(tried) for tried in plan.builds],
        "schedule": _schedule(plan.schedule),
        "failed": dict(plan.failed),
        "driver_problems": list(plan.driver_problems),
    }


def _host(plan: HostPlan) -> dict[str, Json]:
    state, new = plan.state, plan.new_set
    return {
        "host": plan.host,
        "touched": not plan.empty,
        "packages": [
            {
                "name": offered.name,
                "architecture": offered.change.package.architecture,
                "before": offered.change.before,
                "after": offered.change.package.version,
                "security": offered.security,
                "origin": offered.origin,
                "way_back": offered.back,
            }
            for offered in state.offered
        ],
        "no_way_back": [offered.name for offered in no_way_back(state)],
        "cves_closed": None if state.cves is None else sorted({cve for cve, _ in state.cves.closed}),
        "cves_left": None if state.cves is None else sorted({cve for cve, _ in state.cves.left}),
        "cves_unknown": state.cves_unknown or None,
        "services": None if state.services is None else list(state.services),
        "running_kernel": state.running,
        "driver": _driver(new) if new else None,
        "reboots": list(plan.reboots),
        "in_the_way": list(plan.in_the_way),
        "needs_hands": list(plan.hands),
        "left": [asdict(left) for left in plan.left],
    }


def _driver(new: SetChange) -> dict[str, Json]:
    return {
        "set": new.coming.name,
        "version": new.coming.version,
        "version_before": new.now.version if new.now else None,
        "kernel": new.coming.kernel,
        "kernel_before": new.now.kernel if new.now else None,
    }


def _schedule(schedule: Schedule) -> dict[str, Json]:
    return {
        "order": list(schedule.order),
        "at_once": schedule.at_once,
        "seconds": schedule.seconds,
        "most_seconds": dict(schedule.most),
        "opens": schedule.opens.isoformat() if schedule.opens else None,
        "closes": schedule.closes.isoformat() if schedule.closes else None,
        "fits": schedule.fits,
    }
