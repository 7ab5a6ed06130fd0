"""The end of a migration, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from rackwright.cli.common.context import Json
from rackwright.cli.render.migrate_report.certificate_page import HEAD, kind_rows, when
from rackwright.cli.render.table import table
from rackwright.lifecycle.migrate.finish.ready import Preview, steps_of
from rackwright.migrate.finish.order import NO_DELETION
from rackwright.migrate.finish.state import FinishState, Rechecked

_PHASES = {
    "started": "it has started",
    "copied": "everything is exported and verified; objects are being deleted",
    "deleted": "the provider has nothing left that should be gone",
    "erased": "no recorded request is left",
    "removing": "the provider's key is being removed",
    "done": "the migration has ended",
}


def preview_lines(found: Preview, name: str, command: str) -> Iterator[str]:
    """Yield what would be done, what is in the way, and the next command: `command` if nothing is in the way."""
    state = found.state
    if state:
        yield from state_lines(state)
    if state and state.phase == "done":
        yield f"next: rackwright migrate certificate {name}"
        return
    if found.kinds:
        rows = [
            (kind, *(f"{number:,}" if number else "-" for number in (one.deleted, one.uncopied, one.staying)))
            for kind, one in found.kinds.items()
        ]
        yield from table([("at the provider", "to delete", "stays without a copy", "stays"), *rows])
        yield from (f"{kind}: {why}" for kind, why in NO_DELETION.items() if kind in found.kinds)
        yield ""
    if found.quiet:
        last = found.quiet.time.last
        yield f"the cloud's last request: {f'until {when(last)}' if last else 'none in the ledgers'}"
    for number, step in enumerate(steps_of(found), 1):
        yield f"{number}. {step}"
    if found.edit.others:
        yield f"the cloud still answers {', '.join(found.edit.others)}, so it stays in the fleet file with its key"
    for problem in found.problems:
        yield from problem.lines()
    if not found.problems:
        yield f"next: {command}"


def phase_words(state: FinishState) -> str:
    """Return how far the end is, in one line."""
    return f"since {when(state.began)}: {_PHASES[state.phase]}"


def state_lines(state: FinishState) -> Iterator[str]:
    yield phase_words(state)
    if state.kinds:
        yield from table([HEAD, *kind_rows(state.kinds)])
    yield from (f"{host}: without the provider's key" for host in state.keys)
    if state.due:
        yield f"to be checked again on {when(state.due)}"


def preview_document(found: Preview) -> dict[str, Json]:
    """Return all of it as JSON."""
    return {
        "state": found.state.model_dump(mode="json") if found.state else None,
        "quiet": found.quiet.time.model_dump(mode="json") if found.quiet else None,
        "kinds": {kind: asdict(one) for kind, one in found.kinds.items()},
        "removes": list(found.edit.keys),
        "keeps_cloud_for": list(found.edit.others),
        "problems": [asdict(problem) for problem in found.problems],
    }


def recheck_lines(found: Rechecked, name: str) -> Iterator[str]:
    """Yield what is still gone, what isn't, and the next command."""
    yield from table([("kind", "still gone"), *((kind, f"{number:,}") for kind, number in found.absent.items())])
    yield from (f"NOT GONE: {one.kind} {one.id}: {one.reason}" for one in found.back)
    if found.more:
        yield f"NOT GONE: {found.more:,} more"
    yield from (f"not listed: {kind}: {why}" for kind, why in found.unlisted.items())
    yield f"next: rackwright migrate {'certificate' if found.good else 'recheck'} {name}"
