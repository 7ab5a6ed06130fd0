"""What this machine knows of earlier drills: which scratch hosts they used."""

from __future__ import annotations

from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lifecycle.drill.evidence.facts import Facts
from rackwright.lifecycle.drill.evidence.folder import draft_path, is_id, read, report_path
from rackwright.lifecycle.drill.evidence.report import draft_in, report_in


def used_by(folder: Path, drill: str) -> frozenset[str]:
    """Return the scratch hosts of a drill by its report or its draft in this folder; none if it has neither."""
    facts = _facts(folder, drill) if is_id(drill) else None
    covered = facts.assets.covered if facts and facts.assets else ()
    return frozenset(one.scratch for one in covered)


def _facts(folder: Path, drill: str) -> Facts | None:
    draft, report = draft_path(folder, drill), report_path(folder, drill)
    try:
        return draft_in(read(draft), "").facts if draft.exists() else report_in(read(report), "").facts
    except RackwrightError:
        return None
