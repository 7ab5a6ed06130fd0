"""Begin a drill: what is known before anything happens."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.drill.evidence.chain import Chain
from rackwright.lifecycle.drill.evidence.facts import EarlierFinding, Facts
from rackwright.lifecycle.drill.evidence.folder import folder_of
from rackwright.lifecycle.drill.evidence.review import earlier_findings
from rackwright.lifecycle.drill.record import Record
from rackwright.lifecycle.drill.scope import Scope, drill_of
from rackwright.lifecycle.drill.statements import PERSONAL_DATA, not_tested, policy_now, versions_now
from rackwright.lifecycle.session.operator import operator_of
from rackwright.run import new_run_id
from rackwright.state.formats import utc_now


def new_record(fleet: Fleet, scope: Scope, before: Chain) -> Record:
    """Return the record of a drill that begins now; `before` are the fleet's reports.

    Raise FleetError if the fleet file has no `drill`, RackwrightError if this machine has no restic.
    """
    facts = Facts(
        drill=new_run_id(),
        fleet=fleet.file.fleet,
        scenario=scope.scenario,
        criticality=drill_of(fleet).criticality,
        operator=operator_of(fleet).who,
        started=utc_now(),
        policy=policy_now(fleet),
        assets=scope.assets,
        versions=versions_now(),
        earlier_findings=_open_findings(before),
        not_tested=not_tested(fleet, scope),
        personal_data=PERSONAL_DATA,
    )
    return Record(folder_of(fleet.path), facts)


def _open_findings(before: Chain) -> tuple[EarlierFinding, ...]:
    """Return the findings that were open after the last drill, and how they were closed since."""
    if not before.reports:
        return ()
    reviews = {
        one.report.facts.drill: [review.review for review in one.reviews if review.review]
        for one in before.examined
        if one.report
    }
    last = before.reports[-1].facts
    left = {(one.drill, one.number) for one in last.earlier_findings if one.closed is None}
    left |= {(last.drill, number) for number in range(1, len(last.findings) + 1)}
    found = earlier_findings(before.reports, reviews)
    return tuple(one for one in found if (one.drill, one.number) in left)
