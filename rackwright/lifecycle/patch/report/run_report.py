"""The report of a patch run: what changed on each host, who approved it, and what went otherwise than planned. Pure.

It uses what the run stored when it was opened, and the journal. What hosts are like now doesn't matter.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.patch.document import Cve, PatchPlan, PlannedHost
from rackwright.lifecycle.patch.host_journal import REBOOT, driver_of, kernel_of, proves
from rackwright.lifecycle.rollout.change import Phase
from rackwright.package_set import PackageChange
from rackwright.state.journal import Entry, Event
from rackwright.state.rollout import HostPart, HostRollout


class Outcome(StrEnum):
    PATCHED = "patched"
    REVERTED = "reverted"
    NOT_REVERTED = "not reverted"
    """The way back was started and not proven."""
    UNFINISHED = "unfinished"
    """It was started, and neither proven nor reverted."""
    UNCHANGED = "unchanged"
    """The run ended before anything was changed on it."""
    NOT_IN_RUN = "not in the run"


_AS_BEFORE = (Outcome.REVERTED, Outcome.UNCHANGED, Outcome.NOT_IN_RUN)


@dataclass(frozen=True)
class Reboot:
    when: datetime
    why: str


@dataclass(frozen=True)
class Versions:
    """Of a kernel or a driver; None: not known, or there is none."""

    before: str | None
    after: str | None


@dataclass(frozen=True)
class PackageReport:
    name: str
    architecture: str
    before: str | None
    """None: it was not installed."""
    planned: str
    after: str | None
    """None: it isn't installed, or `known` is false."""
    known: bool
    """Whether it is known which version the host has after the run."""
    closes: tuple[str, ...]
    """Ids of the vulnerabilities that the planned version closes."""


@dataclass(frozen=True)
class HostReport:
    host: str
    outcome: Outcome
    why: str
    """What the journal says about its end; empty if nothing unusual."""
    began: datetime | None
    ended: datetime | None
    drained: datetime | None
    """When it got no new requests any more; None: it was never drained."""
    undrained: datetime | None
    reboots: tuple[Reboot, ...]
    kernel: Versions
    driver: Versions
    packages: tuple[PackageReport, ...]
    """Those of the plan."""
    closed: tuple[str, ...] | None
    """Ids of the vulnerabilities that the run closed on it; None: not known."""
    open: tuple[str, ...] | None
    """Ids of those that it has after the run; None: not known."""
    cves_unknown: str
    known: PlannedHost
    planned_reboot: bool


@dataclass(frozen=True)
class Controller:
    """A command that worked on the run."""

    run: str
    who: str
    since: datetime
    until: datetime
    """Its last entry in the journal."""


@dataclass(frozen=True)
class Report:
    fleet: str
    run: str
    who: str
    """Who approved it: they were shown the plan and agreed; of an unattended run, whom it logged in as."""
    asked: Asked
    unattended: tuple[str, ...] | None
    """The settings in `unattended.allow` that answered in an unattended run; None: a person started it."""
    outages: tuple[str, ...]
    """Models for which downtime was allowed."""
    opened: datetime
    closed: datetime | None
    """None: the rollout is still open."""
    how: str
    """How it was closed."""
    controllers: tuple[Controller, ...]
    """In the order of their first entry."""
    hosts: tuple[HostReport, ...]
    """Those of the run in its order, then the others that answered."""


def report(fleet: str, rollout: HostRollout, plan: PatchPlan, entries: Sequence[Entry]) -> Report:
    """Return the report, given the journal's entries of this rollout, oldest first."""
    known = {one.name: one for one in plan.hosts}
    parts = {part.name: part for part in rollout.hosts}
    names = dict.fromkeys((*parts, *known))
    closing = next((one for one in reversed(entries) if one.event is Event.CLOSED), None)
    return Report(
        fleet=fleet,
        run=rollout.id,
        who=rollout.who,
        asked=plan.asked or Asked(),
        unattended=rollout.unattended,
        outages=rollout.outages,
        opened=rollout.when,
        closed=closing.time if closing else None,
        how=closing.detail if closing else "",
        controllers=_controllers(entries),
        hosts=tuple(
            _host(parts.get(name), known.get(name, PlannedHost(name=name)), plan, _of(entries, name))
            for name in names
        ),
    )


def _controllers(entries: Sequence[Entry]) -> tuple[Controller, ...]:
    by_run: dict[str, list[Entry]] = {}
    for entry in entries:
        by_run.setdefault(entry.run, []).append(entry)
    return tuple(Controller(run, own[0].operator, own[0].time, own[-1].time) for run, own in by_run.items())


def _of(entries: Sequence[Entry], host: str) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries if entry.subject == host)


def _host(part: HostPart | None, known: PlannedHost, plan: PatchPlan, entries: Sequence[Entry]) -> HostReport:
    outcome = _outcome(entries) if part else Outcome.NOT_IN_RUN
    changes = plan.changes(known.name) if part else ()
    before = part.before if part else ()
    after = _proven_facts(entries)
    return HostReport(
        host=known.name,
        outcome=outcome,
        why=_why(part, entries) if part else "",
        began=entries[0].time if entries else None,
        ended=entries[-1].time if entries else None,
        drained=_first(entries, Phase.DRAIN),
        undrained=_last(entries, Phase.UNDRAIN),
        reboots=_reboots(entries),
        kernel=_versions(kernel_of(before), kernel_of(after), outcome),
        driver=_versions(driver_of(before), driver_of(after), outcome),
        packages=tuple(_package(change, known.closes or (), outcome) for change in changes),
        closed=_closed(known, outcome),
        open=_open(known, outcome),
        cves_unknown=known.cves_unknown,
        known=known,
        planned_reboot=part.reboots if part else False,
    )


def _outcome(entries: Sequence[Entry]) -> Outcome:
    """Return how the host's change ended, by the last of the phases that decide it."""
    outcome = Outcome.UNCHANGED
    for entry in entries:
        if entry.phase == Phase.COMMIT:
            outcome = Outcome.PATCHED
        elif entry.phase == Phase.REVERT:
            outcome = Outcome.NOT_REVERTED
        elif entry.phase == Phase.ACT and outcome is not Outcome.NOT_REVERTED:
            outcome = Outcome.UNFINISHED
        elif proves(entry) and outcome is Outcome.NOT_REVERTED:
            outcome = Outcome.REVERTED
    return outcome


def _why(part: HostPart, entries: Sequence[Entry]) -> str:
    said = {entry.phase: entry.detail for entry in entries if entry.phase in (Phase.REVERT, Phase.DONE)}
    return "; ".join(detail for detail in said.values() if detail != part.why)


def _proven_facts(entries: Sequence[Entry]) -> tuple[str, ...]:
    return next((entry.facts for entry in reversed(entries) if proves(entry)), ())


def _first(entries: Sequence[Entry], phase: Phase) -> datetime | None:
    return next((entry.time for entry in entries if entry.phase == phase), None)


def _last(entries: Sequence[Entry], phase: Phase) -> datetime | None:
    return next((entry.time for entry in reversed(entries) if entry.phase == phase), None)


def _reboots(entries: Sequence[Entry]) -> tuple[Reboot, ...]:
    """A run that was killed before a reboot and resumed has written it twice, with the same boot."""
    by_boot = {entry.facts: Reboot(entry.time, entry.detail) for entry in entries if entry.phase == REBOOT}
    return tuple(by_boot.values())


def _versions(before: str | None, after: str | None, outcome: Outcome) -> Versions:
    return Versions(before, before if outcome in (Outcome.UNCHANGED, Outcome.NOT_IN_RUN) else after)


def _package(change: PackageChange, closes: Collection[Cve], outcome: Outcome) -> PackageReport:
    package = change.package
    patched = outcome is Outcome.PATCHED
    return PackageReport(
        name=package.name,
        architecture=package.architecture,
        before=change.before,
        planned=package.version,
        after=package.version if patched else change.before if outcome in _AS_BEFORE else None,
        known=patched or outcome in _AS_BEFORE,
        closes=_ids([cve for cve in closes if cve.package == package.name]),
    )


def _closed(known: PlannedHost, outcome: Outcome) -> tuple[str, ...] | None:
    if outcome in _AS_BEFORE:
        return ()
    if outcome is not Outcome.PATCHED or known.closes is None or known.leaves is None:
        return None
    return tuple(sorted({cve.id for cve in known.closes} - {cve.id for cve in known.leaves}))


def _open(known: PlannedHost, outcome: Outcome) -> tuple[str, ...] | None:
    if known.closes is None or known.leaves is None:
        return None
    if outcome is Outcome.PATCHED:
        return _ids(known.leaves)
    return _ids((*known.leaves, *known.closes)) if outcome in _AS_BEFORE else None


def _ids(cves: Collection[Cve]) -> tuple[str, ...]:
    return tuple(sorted({cve.id for cve in cves}))
