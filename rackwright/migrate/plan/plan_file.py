"""The file of a migration plan: YAML, with every problem reported at its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.reading.document import read_document
from rackwright.fleet.reading.error_messages import validated
from rackwright.fleet.reading.nodes import Entries, Findings
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.plan.plan_rules import check_plan

NAME = "[a-z][a-z0-9-]{0,23}"


def plan_file(fleet: Path, migration: str) -> Path:
    """Return the path of a migration's plan, next to the fleet file."""
    return fleet.with_name(f"{fleet.stem}.migrate-{migration}.yml")


def plans_of(fleet: Path) -> tuple[str, ...]:
    """Return the names of the migrations that have a plan next to the fleet file. Raise FleetError."""
    pattern = re.compile(rf"{re.escape(fleet.stem)}\.migrate-({NAME})\.yml")
    try:
        found = [pattern.fullmatch(path.name) for path in fleet.parent.iterdir()]
    except OSError as error:
        raise FleetError([Problem(str(fleet.parent), f"can't be read: {error.strerror}")]) from None
    return tuple(sorted(one[1] for one in found if one))


def read_plan(fleet: Fleet, migration: str, *, leaving: bool = False) -> Plan:
    """Return the plan of this migration. `leaving`: the fleet may not have the cloud any more.

    Raise FleetError with every problem and its line if it can't be read, isn't valid or doesn't fit the fleet.
    """
    path, findings = plan_file(fleet.path, migration), Findings()
    root = read_document(path, findings, "migration plan")
    check_plan(root, migration, fleet, _others(fleet, migration), findings, leaving=leaving)
    plan = validated(Plan, root, findings)
    problems = findings.problems((str(path),))
    if problems or plan is None:
        raise FleetError(problems)
    return plan


def _others(fleet: Fleet, migration: str) -> Iterator[Entries]:
    """Yield the fleet's other plans, as far as they can be read."""
    for name in plans_of(fleet.path):
        if name != migration:
            with suppress(FleetError):
                yield read_document(plan_file(fleet.path, name), Findings(), "migration plan")
