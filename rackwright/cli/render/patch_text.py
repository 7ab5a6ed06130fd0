"""`patch plan` as text: what changes by kind of host, then each host, the trial builds, and the schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from rackwright.cli.render.table import table
from rackwright.lifecycle.patch.findings import no_way_back
from rackwright.lifecycle.patch.kinds import Kind
from rackwright.lifecycle.patch.plan import HostPlan, Plan
from rackwright.lifecycle.patch.schedule import Schedule
from rackwright.lifecycle.patch.try_build import Tried
from rackwright.report.words import counted, duration, separated, size, some
from rackwright.roles.patch.state import Offered

_WAYS = {"archive": "archive", "cache": "cache", "repack": "repacked", "none": "none", None: "removed"}
_OURS = "rackwright-"
_MOST = 30
"""Lines of one kind for a host: it may have any number of unfinished packages."""


def patch_text(plan: Plan, zone: tzinfo) -> list[str]:
    """Return the plan's lines; times are in this time zone."""
    hosts = {host.host: host for host in plan.hosts}
    blocks = [_kind(kind, hosts[kind.hosts[0]]) for kind in plan.document.kinds if kind.changes]
    if plan.hosts:
        blocks.append(table([_HEADER, *map(_row, plan.hosts)]))
    blocks += [_notes(host) for host in plan.hosts if any(True for _ in _said(host))]
    if plan.builds or plan.driver_problems:
        blocks.append(_builds(plan))
    if plan.schedule.order:
        blocks.append(_schedule(plan.schedule, zone))
    return separated(blocks)


def _kind(kind: Kind, first: HostPlan) -> Iterator[str]:
    total = sum(change.package.size for change in kind.changes)
    what = f"{counted(len(kind.changes), 'package')}, {size(total)}"
    yield f"{', '.join(kind.hosts)}: {kind.system}, {kind.architecture}: {what}"
    rows: list[tuple[str, ...]] = [("PACKAGE", "BEFORE", "AFTER", "SECURITY", "CVES CLOSED", "WAY BACK")]
    rows += [_package(offered, first) for offered in first.state.offered]
    yield from (f"  {line}" for line in table(rows))


def _package(offered: Offered, host: HostPlan) -> tuple[str, ...]:
    cves = host.state.cves
    closed = "unknown" if cves is None else some(sorted(cve for cve, name in cves.closed if name == offered.name))
    change = offered.change
    security = "yes" if offered.security else "-"
    return offered.name, change.before or "new", change.package.version, security, closed, _WAYS[offered.back]


_HEADER = ("HOST", "PACKAGES", "SECURITY", "CVES CLOSED", "CVES LEFT", "DRIVER", "KERNEL", "REBOOT")


def _row(host: HostPlan) -> tuple[str, ...]:
    state, new = host.state, host.new_set
    cves = state.cves
    counts = ("unknown", "unknown") if cves is None else tuple(_ids(found) for found in (cves.closed, cves.left))
    return (
        host.host,
        str(len(state.offered) or "-"),
        str(sum(offered.security for offered in state.offered) or "-"),
        *counts,
        new.coming.version if new else "-",
        new.coming.kernel if new else _kernel(host),
        "yes" if host.reboots else "-",
    )


def _ids(found: frozenset[tuple[str, str]]) -> str:
    return str(len({cve for cve, _ in found}) or "-")


def _kernel(host: HostPlan) -> str:
    return next((why.split()[1].rstrip(";") for why in host.reboots if why.startswith("kernel ")), "-")


def _notes(host: HostPlan) -> Iterator[str]:
    yield f"{host.host}:"
    yield from (f"  {line}" for line in _said(host))


def _said(host: HostPlan) -> Iterator[str]:
    state = host.state
    if host.empty:
        yield "nothing to change: isn't touched"
    if not host.empty:
        yield from _each("in the way", host.in_the_way)
    if host.reboots:
        yield f"reboots: {'; '.join(host.reboots)}"
    yield from _each("no way back", [f"{offered.name} {offered.change.before}" for offered in no_way_back(state)])
    yield from _each("if the kernel hangs", host.hands)
    if state.services is None:
        yield "services on replaced libraries: unknown, needrestart isn't installed; next: rackwright apply"
    elif state.services:
        ours = [unit for unit in state.services if unit.startswith(_OURS)]
        others = [unit for unit in state.services if unit not in ours]
        if others:
            yield f"run on replaced libraries: {some(others, _MOST)}"
        if ours:
            yield f"run on replaced libraries, restarted only by a rollout: {some(ours, _MOST)}"
    if state.cves is None and not host.empty:
        yield f"CVEs: unknown{f': {state.cves_unknown}' if state.cves_unknown else ', debsecan has no data'}"
    yield from _each("stays", [f"{left.name}: {left.why}" for left in host.left])


def _each(what: str, found: Sequence[str]) -> Iterator[str]:
    yield from (f"{what}: {one}" for one in found[:_MOST])
    if len(found) > _MOST:
        yield f"{what}: and {len(found) - _MOST} more, all in --json"


def _builds(plan: Plan) -> Iterator[str]:
    yield "driver and kernel of the next lock:"
    yield from (f"  unknown: {why}" for why in plan.driver_problems)
    for tried in plan.builds:
        yield f"  {_tried(tried)}"
        yield from (f"    {line}" for line in tried.lines)


def _tried(tried: Tried) -> str:
    what = f"driver {tried.version}"
    if tried.state == "builds":
        return f"{what} builds for kernel {tried.kernel} (tried on {tried.host})"
    if tried.state == "fails":
        return f"{what} doesn't build for kernel {tried.kernel} (tried on {tried.host}):"
    return f"{what}: whether it builds for kernel {tried.kernel} is unknown ({tried.host}):"


def _schedule(schedule: Schedule, zone: tzinfo) -> Iterator[str]:
    first, *rest = schedule.order
    at_once = f"; then {schedule.at_once} at a time" if len(schedule.order) > 2 else ""
    yield f"order: {', '.join([f'{first} (canary)', *rest])}{at_once}"
    most = ", ".join(f"{part} {duration(seconds)}" for part, seconds in schedule.most.items())
    measured = "not measured yet" if schedule.seconds is None else f"about {duration(schedule.seconds)}"
    yield f"time: {measured}; at most per host: {most}, plus installation and boot"
    yield f"window: {_window(schedule, zone)}"


def _window(schedule: Schedule, zone: tzinfo) -> str:
    if schedule.frozen:
        return "none opens: patch.window and patch.except leave no time"
    if schedule.opens is None or schedule.closes is None:
        return "at any time"
    fits = {True: "the run fits", False: "the run doesn't fit", None: "whether the run fits isn't known yet"}
    opens, closes = (_shown(moment, zone) for moment in (schedule.opens, schedule.closes))
    return f"opens {opens}, closes {closes}: {fits[schedule.fits]}"


def _shown(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"
