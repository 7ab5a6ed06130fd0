"""A drill's report as sections of tables, which its Markdown, its HTML and the terminal share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from rackwright.cli.render.sections import Section
from rackwright.lifecycle.drill.evidence.facts import Assets, Facts, Policy, RecoveryPoint
from rackwright.lifecycle.drill.evidence.report import Report
from rackwright.lifecycle.drill.evidence.timeline import Timing
from rackwright.report.words import duration, size
from rackwright.state.formats import stamp

RTO_FORMULA = "from the declared loss to the first proven answer"
RPO_FORMULA = "from the newest data restored to the declared loss, of the worst host"
NONE = "-"


ISO, TESTED = "ISO/IEC 27001 A.8.13", "HIPAA 164.308(a)(7)(ii)(D)"
COPIES, CRITICAL = "HIPAA 164.308(a)(7)(ii)(A)", "HIPAA 164.308(a)(7)(ii)(E)"
RESTORE, REGULAR, SAFE = "GDPR 32(1)(c)", "GDPR 32(1)(d)", "GDPR 32(1)(b)"
SOC = "SOC 2 A1.3"


def sections(report: Report) -> tuple[Section, ...]:
    """Return all sections, also those without rows: a reader should see that nothing was found."""
    facts = report.facts
    return (
        _section("Objectives", (RESTORE, SOC), ("objective", "measured", "wanted", "formula"), _objectives(report)),
        _section("Drill", (SOC, REGULAR, CRITICAL), ("what", "value"), _drill(report)),
        _section("Policy", (ISO,), ("what", "value"), _policy(facts.policy)),
        _section("Assets in scope", (ISO, CRITICAL), ("host", "covered", "by or why not"), _assets(facts.assets)),
        _section("Recovery points", (COPIES, ISO), _POINT, map(_point, facts.recovery_points)),
        _section("Time line", (RESTORE,), ("phase", "started", "after the loss", "took"), _phases(facts.timing)),
        _section("Checks", (SAFE, SOC), ("check", "host", "outcome", "found", "expected"), _checks(facts)),
        _section("Negative controls", (TESTED,), ("what", "failed", "found", "expected"), _controls(facts)),
        _section("Integrity", (COPIES, ISO), ("host", "expected", "restored", "equal", "size"), _integrity(facts)),
        _section("Keys that decrypt", (COPIES,), ("repository", "from"), _keys(facts)),
        _section("Versions", (SOC,), ("host", "program", "version"), _versions(facts)),
        _section("Commands", (SOC, TESTED), ("host", "command", "exit code", "log sha256"), _commands(facts)),
        _section("Findings", (TESTED, REGULAR), ("number", "finding", "owner", "due"), _findings(facts)),
        _section("Earlier findings", (TESTED, REGULAR), _EARLIER, _earlier(facts)),
        _section("Not tested", (ISO, SOC), ("what", "why"), ((one.what, one.why) for one in facts.not_tested)),
        _section("Personal data", (SAFE,), ("what became of them",), ((facts.personal_data or NONE,),)),
    )


def heading(report: Report) -> str:
    """Return the first line of each form of the report."""
    word = "passed" if report.conclusion.passed else "did not pass"
    return f"Recovery drill {report.facts.drill} of {report.facts.fleet}: {word}"


def seconds(value: float | None) -> str:
    return NONE if value is None else duration(value)


_POINT = ("host", "repository", "place", "snapshot", "time", "encrypted", "append-only", "chosen", "passed over")
_EARLIER = ("drill", "number", "finding", "owner", "due", "closed")


def _section(
    title: str, asked_by: tuple[str, ...], head: tuple[str, ...], rows: Iterable[tuple[str, ...]]
) -> Section:
    return Section(title, f"Asked for by {', '.join(asked_by)}.", head, tuple(rows))


def _objectives(report: Report) -> Iterator[tuple[str, ...]]:
    policy, found = report.facts.policy, report.conclusion
    yield "RTO", seconds(found.rto_s), seconds(policy.rto_s if policy else None), RTO_FORMULA
    yield "RPO", seconds(found.rpo_s), seconds(policy.rpo_s if policy else None), RPO_FORMULA


def _drill(report: Report) -> Iterator[tuple[str, ...]]:
    facts, before = report.facts, report.previous
    yield "scenario", facts.scenario
    yield "criticality", facts.criticality
    yield "operator", facts.operator
    yield "planned", _when(facts.planned)
    yield "started", stamp(facts.started)
    yield "ended", _when(facts.ended)
    yield "missed drills", ", ".join(map(stamp, facts.missed)) or "none"
    yield "stopped by", facts.error or NONE
    yield "report", str(report.number)
    yield "report before", f"{before.drill}, sha256 {before.sha256}" if before else "none: this is the first"
    yield "sealed", stamp(report.sealed)
    yield "signer", f"{report.signer}, {report.key}"


def _policy(policy: Policy | None) -> Iterator[tuple[str, ...]]:
    if policy:
        yield "RTO", seconds(policy.rto_s)
        yield "RPO", seconds(policy.rpo_s)
        yield "snapshots are kept", seconds(policy.keep_within_s)
        yield "schedule", policy.schedule
        yield "what is backed up", ", ".join(policy.scope)
        yield "sha256", policy.sha256


def _assets(assets: Assets | None) -> Iterator[tuple[str, ...]]:
    if not assets:
        return
    covered = {one.host: one.scratch for one in assets.covered}
    left = {one.host: one.why for one in assets.not_covered}
    for host in dict.fromkeys((*assets.in_scope, *covered, *left)):
        yield host, "yes" if host in covered else "no", covered.get(host) or left.get(host, NONE)


def _point(point: RecoveryPoint) -> tuple[str, ...]:
    encrypted, append_only = ("yes" if one else "no" for one in (point.encrypted, point.append_only))
    when, passed = stamp(point.time), "; ".join(point.passed_over) or "none"
    place = (point.host, point.repository, point.place, point.snapshot)
    return (*place, when, encrypted, append_only, point.chosen, passed)


def _phases(timing: Timing | None) -> Iterator[tuple[str, ...]]:
    if not timing:
        return
    yield "loss declared", stamp(timing.loss_declared), seconds(0), NONE
    for phase in timing.phases:
        yield phase.name, stamp(phase.started), seconds(phase.after_s), seconds(phase.seconds)
    yield "first proven answer", NONE, seconds(timing.answer_after_s), NONE
    yield "end", _when(timing.ended), seconds(timing.ended_after_s), NONE


def _checks(facts: Facts) -> Iterator[tuple[str, ...]]:
    for one in facts.checks:
        yield one.name, one.host or "the service", one.outcome, one.found or NONE, one.expected or NONE


def _controls(facts: Facts) -> Iterator[tuple[str, ...]]:
    for one in facts.negative_controls:
        yield one.what, "yes" if one.failed else "no", one.found, one.expected


def _integrity(facts: Facts) -> Iterator[tuple[str, ...]]:
    for one in facts.integrity:
        yield one.host, str(one.expected), str(one.restored), str(one.equal), size(one.bytes)


def _keys(facts: Facts) -> Iterator[tuple[str, ...]]:
    yield from ((one.repository, one.source) for one in facts.decryption_keys)


def _versions(facts: Facts) -> Iterator[tuple[str, ...]]:
    if facts.versions:
        yield "controller", "rackwright", facts.versions.rackwright
        yield "controller", "restic", facts.versions.restic
        yield from ((one.host, one.engine, one.version) for one in facts.versions.engines)


def _commands(facts: Facts) -> Iterator[tuple[str, ...]]:
    for one in facts.commands:
        yield one.host or "controller", one.command, str(one.exit_code), one.log_sha256


def _findings(facts: Facts) -> Iterator[tuple[str, ...]]:
    for number, one in enumerate(facts.findings, 1):
        yield str(number), one.text, one.owner, one.due.isoformat()


def _earlier(facts: Facts) -> Iterator[tuple[str, ...]]:
    for one in facts.earlier_findings:
        yield one.drill, str(one.number), one.text, one.owner, one.due.isoformat(), one.closed or "open"


def _when(moment: datetime | None) -> str:
    return stamp(moment) if moment else NONE
