"""A shadow round as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.render.migrate_report.score_text import as_text
from rackwright.migrate.shadow_result import Shadowed


def shadow_lines(found: Shadowed) -> Iterator[str]:
    """Yield what was asked, what is missing, and the score."""
    outcome = found.outcome
    yield f"{outcome.sample} of {outcome.recorded} recorded requests asked"
    if outcome.stopped:
        yield f"stopped: {outcome.stopped.line()}"
    yield from (f"not recorded: {count} ({why})" for why, count in found.dropped.items())
    yield from (f"{gateway}: {why}" for gateway, why in found.missed.items())
    if found.scored:
        yield ""
        yield from as_text(found.scored)
