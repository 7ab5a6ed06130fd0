"""JSON Schema of a migration plan, for editors."""

from __future__ import annotations

from rackwright.fleet.schema import DRAFT, Schema, described
from rackwright.migrate.plan.plan import Plan


def migration_schema() -> Schema:
    """Return the JSON Schema (2020-12) of a migration plan."""
    return {"$schema": DRAFT, **described(Plan)}
