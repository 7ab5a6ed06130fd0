"""`patch report --json`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from rackwright.cli.common.context import Json
from rackwright.lifecycle.patch.report.history import PatchReport
from rackwright.lifecycle.patch.report.run_report import HostReport
from rackwright.state.formats import stamp


def patch_report_document(found: PatchReport) -> dict[str, Json]:
    """Return the report as one JSON document, with all vulnerabilities of each host."""
    report = found.report
    return {
        "fleet": report.fleet,
        "run": report.run,
        "approved_by": report.who,
        "confirmed": not report.asked.yes and report.unattended is None,
        "unattended": None if report.unattended is None else list(report.unattended),
        "options": list(report.asked.options),
        "outages": list(report.outages),
        "opened": stamp(report.opened),
        "closed": _when(report.closed),
        "ended": report.how or None,
        "controllers": [
            {"run": one.run, "who": one.who, "since": stamp(one.since), "until": stamp(one.until)}
            for one in report.controllers
        ],
        "hosts": [_host(host) for host in report.hosts],
        "deviations": [asdict(one) for one in found.deviations],
    }


def _host(host: HostReport) -> dict[str, Json]:
    return {
        "host": host.host,
        "outcome": str(host.outcome),
        "why": host.why or None,
        "started": _when(host.began),
        "ended": _when(host.ended),
        "drained": _when(host.drained),
        "undrained": _when(host.undrained),
        "reboots": [{"time": stamp(one.when), "why": one.why} for one in host.reboots],
        "kernel": asdict(host.kernel),
        "driver": asdict(host.driver),
        "packages": [_listed(asdict(one)) for one in host.packages],
        "cves_closed": _ids(host.closed),
        "cves_open": _ids(host.open),
        "cves_unknown": host.cves_unknown or None,
        "stays": [one.model_dump() for one in host.known.stays],
    }


def _listed(package: dict[str, Json]) -> dict[str, Json]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in package.items()}


def _ids(found: tuple[str, ...] | None) -> Json:
    return None if found is None else list(found)


def _when(moment: datetime | None) -> str | None:
    return stamp(moment) if moment else None
