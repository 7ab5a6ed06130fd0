"""A patch run's report as sections of tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from rackwright.cli.render.sections import Pages, Section
from rackwright.lifecycle.patch.report.history import PatchReport
from rackwright.lifecycle.patch.report.run_report import HostReport, Outcome, PackageReport, Report, Versions
from rackwright.report.words import duration
from rackwright.state.formats import stamp

NONE, UNKNOWN = "-", "unknown"
_MOST = 50
"""Rows of a table in Markdown. HTML and JSON have all."""
Rows = Iterable[tuple[str, ...]]


def patch_pages(found: PatchReport, *, shortened: bool) -> Pages:
    """Return the report; `shortened`: long tables end with how many rows they lack."""
    report = found.report
    sections = (_shortened(one) if shortened else one for one in _sections(found))
    return Pages(heading(report), _good(report), [], tuple(sections))


def heading(report: Report) -> str:
    hosts = [host for host in report.hosts if host.outcome is not Outcome.NOT_IN_RUN]
    patched = sum(host.outcome is Outcome.PATCHED for host in hosts)
    return f"Patch run {report.run} of {report.fleet}: {patched} of {len(hosts)} hosts patched"


def _good(report: Report) -> bool:
    return all(host.outcome in (Outcome.PATCHED, Outcome.NOT_IN_RUN) for host in report.hosts)


def _sections(found: PatchReport) -> tuple[Section, ...]:
    report = found.report
    data = f"By Debian's data of {stamp(report.opened)}, for the versions in Packages."
    return (
        _section("Run", ("what", "value"), _run(report)),
        _section("Deviations", ("host", "what"), ((one.host or "all", one.what) for one in found.deviations)),
        _section("Hosts", _HOST, map(_host, report.hosts)),
        _section("Packages", _PACKAGE, _packages(report)),
        _section("Reboots", ("host", "time", "why"), _reboots(report)),
        _section("CVEs closed", ("CVE", "hosts"), _cves(report, closed=True), data),
        _section("CVEs open", ("CVE", "hosts"), _cves(report, closed=False), data),
        _section("Packages that stay at their version", ("package", "why", "hosts"), _stay(report)),
    )


def _section(title: str, head: tuple[str, ...], rows: Rows, note: str = "") -> Section:
    return Section(title, note, head, tuple(rows))


def _shortened(section: Section) -> Section:
    more = len(section.rows) - _MOST
    if more <= 0:
        return section
    note = f"{section.note} {more} more rows are in --json and --html.".strip()
    return Section(section.title, note, section.head, section.rows[:_MOST])


def _run(report: Report) -> Iterator[tuple[str, str]]:
    yield "approved by", report.who
    yield "how", _how(report)
    yield "options", ", ".join(report.asked.options) or "none"
    yield "downtime allowed for", ", ".join(report.outages) or "none"
    yield "opened", stamp(report.opened)
    yield "closed", _when(report.closed)
    yield "took", _took(report.opened, report.closed)
    yield "ended", report.how or "still open"
    for one in report.controllers:
        yield "worked on by", f"{one.who}, {stamp(one.since)} to {stamp(one.until)} (run {one.run})"


def _how(report: Report) -> str:
    if report.unattended is None:
        return "with --yes" if report.asked.yes else "answered the question after the plan was shown"
    allowed = ", ".join(report.unattended)
    return f"unattended, allowed by {allowed}" if allowed else "unattended; no setting had to allow anything"


_HOST = (
    "host",
    "outcome",
    "started",
    "took",
    "drained for",
    "reboots",
    "kernel",
    "driver",
    "CVEs closed",
    "CVEs open",
)


def _host(host: HostReport) -> tuple[str, ...]:
    return (
        host.host,
        host.outcome,
        _when(host.began),
        _took(host.began, host.ended),
        _took(host.drained, host.undrained),
        str(len(host.reboots) or NONE),
        _versions(host.kernel),
        _versions(host.driver),
        UNKNOWN if host.closed is None else str(len(host.closed)),
        UNKNOWN if host.open is None else str(len(host.open)),
    )


def _versions(found: Versions) -> str:
    if found.before == found.after:
        return found.before or NONE
    return f"{found.before or NONE} → {found.after or UNKNOWN}"


_PACKAGE = ("package", "architecture", "before", "planned", "after", "CVEs closed", "hosts")


def _packages(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield one row for all hosts where the same became of a package."""
    hosts: dict[PackageReport, list[str]] = {}
    for host in report.hosts:
        for package in host.packages:
            hosts.setdefault(package, []).append(host.host)
    for one, where in hosts.items():
        after = (one.after or "not installed") if one.known else UNKNOWN
        closes = ", ".join(one.closes) or NONE
        yield one.name, one.architecture, one.before or NONE, one.planned, after, closes, ", ".join(where)


def _reboots(report: Report) -> Iterator[tuple[str, str, str]]:
    for host in report.hosts:
        yield from ((host.host, stamp(one.when), one.why) for one in host.reboots)


def _cves(report: Report, *, closed: bool) -> Iterator[tuple[str, str]]:
    hosts: dict[str, list[str]] = {}
    for host in report.hosts:
        for cve in (host.closed if closed else host.open) or ():
            hosts.setdefault(cve, []).append(host.host)
    yield from ((cve, ", ".join(where)) for cve, where in sorted(hosts.items()))
    if unknown := [host.host for host in report.hosts if (host.closed if closed else host.open) is None]:
        yield UNKNOWN, ", ".join(unknown)


def _stay(report: Report) -> Iterator[tuple[str, str, str]]:
    hosts: dict[tuple[str, str], list[str]] = {}
    for host in report.hosts:
        for one in host.known.stays:
            hosts.setdefault((one.package, one.why), []).append(host.host)
    yield from ((package, why, ", ".join(where)) for (package, why), where in hosts.items())


def _when(moment: datetime | None) -> str:
    return stamp(moment) if moment else NONE


def _took(since: datetime | None, until: datetime | None) -> str:
    return duration((until - since).total_seconds()) if since and until else NONE
