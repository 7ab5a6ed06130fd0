"""How a patch run differed from a full run that follows its plan within the windows. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

from rackwright.lifecycle.patch.report.run_report import HostReport, Outcome, Report
from rackwright.state.formats import stamp
from rackwright.values.windows import Freeze, Window, is_open

_DONE = "done"
"""How a rollout is closed whose changes have all passed."""

_ENDS = {
    Outcome.UNCHANGED: "unchanged: the run ended before",
    Outcome.UNFINISHED: "unfinished: neither proven nor reverted",
    Outcome.REVERTED: "reverted",
    Outcome.NOT_REVERTED: "not reverted",
}


@dataclass(frozen=True)
class Deviation:
    host: str | None
    """None: it is about the whole run."""
    what: str


@dataclass(frozen=True)
class Calendar:
    """When hosts may be patched, as the fleet file says now."""

    windows: Collection[Window]
    freezes: Collection[Freeze]
    zone: tzinfo

    def open(self, moment: datetime) -> bool:
        return is_open(moment, self.windows, self.freezes, self.zone)


def deviations(report: Report, calendar: Calendar) -> tuple[Deviation, ...]:
    """Return the deviations of the run, then those of each host in the order of the report."""
    found = [Deviation(None, what) for what in _run(report)]
    for host in report.hosts:
        found += [Deviation(host.host, what) for what in _host(host, report, calendar)]
    return tuple(found)


def _run(report: Report) -> Iterator[str]:
    if report.closed is None:
        yield "it is still open"
    elif report.how != _DONE:
        yield report.how
    # The canary and --yes change nothing about what is done.
    if chosen := report.asked.model_copy(update={"yes": False, "canary": None}).options:
        yield f"run with {', '.join(chosen)}"
    if report.asked.yes:
        yield "approved with --yes, before the plan was shown"
    for later in report.controllers[1:]:
        yield f"continued by {later.who} at {stamp(later.since)} (run {later.run})"


def _host(host: HostReport, report: Report, calendar: Calendar) -> Iterator[str]:
    if host.outcome is Outcome.NOT_IN_RUN:
        yield from _left_out(host, report)
        return
    if what := host.why or _ENDS.get(host.outcome):
        yield what
    yield from _reboots(host)
    yield from _times(host, calendar)
    if host.open is None and host.cves_unknown:
        yield f"CVEs are unknown: {host.cves_unknown}"


def _left_out(host: HostReport, report: Report) -> Iterator[str]:
    if host.known.offered or (host.known.reboots and report.asked.reboot):
        yield "left out, though it had something to change"
    elif host.known.reboots:
        yield f"still needs a reboot: {'; '.join(host.known.reboots)}"


def _reboots(host: HostReport) -> Iterator[str]:
    if host.outcome is not Outcome.PATCHED:
        return
    count = len(host.reboots)
    if count and not host.planned_reboot:
        yield f"rebooted, though the plan had no reboot: {host.reboots[0].why}"
    if count > 1:
        yield f"rebooted {count} times"
    if not count and host.known.reboots:
        yield f"still needs a reboot: {'; '.join(host.known.reboots)}"


def _times(host: HostReport, calendar: Calendar) -> Iterator[str]:
    if host.drained and not calendar.open(host.drained):
        yield f"drained at {stamp(host.drained)}, outside the windows of patch in the present fleet file"
    elif host.undrained and not calendar.open(host.undrained):
        yield f"served again at {stamp(host.undrained)}, after the window had closed"
