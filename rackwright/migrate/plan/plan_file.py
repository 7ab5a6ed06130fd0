"""The file of a migration plan: YAML, with every problem reported at its line."""

from __future__ import annotations

from pathlib import Path

from rackwright.errors import FleetError
from rackwright.fleet.reading.document import read_document
from rackwright.fleet.reading.error_messages import validated
from rackwright.fleet.reading.nodes import Findings
from rackwright.migrate.plan.plan import Plan


def read_plan(path: Path) -> Plan:
    """Return the plan. Raise FleetError with every problem and its line if it can't be read or isn't valid."""
    findings = Findings()
    root = read_document(path, findings)
    plan = validated(Plan, root, findings)
    problems = findings.problems((str(path),))
    if problems or plan is None:
        raise FleetError(problems)
    return plan
