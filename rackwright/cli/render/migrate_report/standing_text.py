"""How far a migration is, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rackwright.cli.common.context import Json
from rackwright.cli.render.migrate_report.certificate_page import when
from rackwright.cli.render.migrate_report.cutover_text import cutting_document, cutting_rows
from rackwright.cli.render.migrate_report.finish_text import phase_words
from rackwright.cli.render.table import table
from rackwright.errors import Problem
from rackwright.lifecycle.migrate.finish.standing import Finished
from rackwright.lifecycle.migrate.progress import ResultState
from rackwright.lifecycle.migrate.same_folder import Known
from rackwright.lifecycle.migrate.stale import RESULTS
from rackwright.lifecycle.migrate.standing import OnDisk, Standing
from rackwright.report.words import counted
from rackwright.state.formats import stamp
from rackwright.state.migrations import Entry

HEAD = ("entry", "when", "who", "machine", "step", "what")
_STATES = {
    Known.NEW: "not in the log yet",
    Known.SAME: "as in the log",
    Known.AHEAD: "with files since the last entry of the log",
    Known.ABSENT: "not on this machine",
    Known.OTHER: "not the one that the log knows",
    Known.LOST: "newer than the log",
}


def summary(found: Sequence[Standing]) -> Iterator[str]:
    """Yield a table of migrations, and the problems of each."""
    rows = [("migration", "last step", "when", "who", "next")]
    for one in found:
        last = one.log.entries[-1] if one.log.entries else None
        said = (last.step, stamp(last.time), last.who) if last else ("-", "-", "-")
        rows.append((one.migration, *said, one.next))
    yield from table(rows)
    for one in found:
        yield from _problems(one.problems)


def standing_lines(one: Standing) -> Iterator[str]:
    """Yield what an operator should know about one migration."""
    yield f"{one.migration}: {one.plan.intent}" if one.plan else one.migration
    if one.plan:
        models = ", ".join(f"{name} → {model}" for name, model in one.plan.models.items())
        yield f"plan:   {one.path}, {one.plan.cloud}: {models}"
    if one.folder:
        yield f"folder: {_folder(one.folder)}"
    if one.end.state:
        yield f"end:    {phase_words(one.end.state)}{_due(one.end)}"
    yield ""
    if rows := list(cutting_rows(one.cutting, one.plan)):
        yield from (*table(rows), "")
    yield from table(list(results(one)))
    yield from (f"edited: {edit.line()}" for edit in one.edits)
    yield ""
    yield from table([HEAD, *log_rows(one.log.entries)]) if one.log.entries else ["the log is empty"]
    yield ""
    yield from _problems(one.problems)
    yield f"next: {one.next}"


def _due(end: Finished) -> str:
    if not end.done:
        return ""
    if end.due:
        return f"; the provider should be asked again on {when(end.due)}"
    return "; the provider was asked again" if end.rechecked else "; nobody asks the provider again"


def results(one: Standing) -> Iterator[tuple[str, ...]]:
    """Yield a head, and a row for each step with a result."""
    yield ("step", "last", "state")
    for step in RESULTS:
        entry, state = one.newest(step), one.progress.state(step) if one.progress else ResultState("none")
        yield (step, stamp(entry.time) if entry else "never", state_words(state) or "-")
    for step in ("capture", "import"):
        if old := one.stale_result(step):
            yield (step, stamp(old.entry.time), f"stale: {'; '.join(old.why)}")


def log_rows(entries: Sequence[Entry]) -> Iterator[tuple[str, ...]]:
    for entry in entries:
        yield (str(entry.number), stamp(entry.time), entry.who, entry.machine, entry.step, entry.what)


def standing_document(one: Standing) -> dict[str, Json]:
    folder = one.folder
    return {
        "migration": one.migration,
        "plan": {"path": str(one.path), "sha256": one.digest, "intent": one.plan.intent if one.plan else None},
        "folder": {
            "path": str(folder.path),
            "state": folder.state.value,
            "files": folder.files,
            "requests": folder.requests,
            "sha256": folder.sha256,
        }
        if folder
        else None,
        "results": results_document(one),
        "cutover": cutting_document(one.cutting, one.plan),
        "stale": [{"step": old.entry.step, "entry": old.entry.number, "why": list(old.why)} for old in one.stale],
        "edits": [
            {
                "step": edit.entry.step,
                "entry": edit.entry.number,
                "before": edit.before.number,
                "keys": list(edit.keys),
            }
            for edit in one.edits
        ],
        "problems": [asdict(problem) for problem in one.problems],
        "end": end_document(one.end),
        "log": log_document(one.log.entries),
        "next": one.next,
    }


def end_document(end: Finished) -> Json:
    if end.state is None:
        return None
    return {"phase": end.state.phase, "began": end.state.began, "recheck_due": end.due}


def results_document(one: Standing) -> dict[str, Json]:
    return {step: _result(one, step) for step in RESULTS}


def _result(one: Standing, step: str) -> Json:
    entry = one.newest(step)
    if entry is None:
        return None
    state = one.progress.state(step) if one.progress else ResultState("none")
    return {
        "entry": entry.number,
        "time": stamp(entry.time),
        "up_to_date": state.holds,
        "note": state_words(state),
    }


def state_words(state: ResultState) -> str:
    """Return it in a few words; "": there is no result."""
    if state.kind == "needs times":
        return "needs requests with a time of arrival"
    if state.kind == "incomplete":
        return f"not complete: {'; '.join(state.why)}"
    if state.kind == "stale":
        return f"stale: {'; '.join(state.why)}"
    if state.kind == "blocked":
        return f"up to date; {counted(state.blocking, 'problem blocks', 'problems block')} the move"
    return "" if state.kind == "none" else state.kind


def log_document(entries: Sequence[Entry]) -> list[Json]:
    return [entry.model_dump(mode="json", exclude={"format", "migration", "keys"}) for entry in entries]


def _folder(folder: OnDisk) -> str:
    if not folder.files:
        return f"{folder.path}: no files here; {_STATES[folder.state]}"
    held = f"{counted(folder.files, 'file')}, {counted(folder.requests, 'request')}"
    state = "its list of files is as in the log" if folder.state is Known.SAME and folder.problems else ""
    return f"{folder.path}: {held}; {state or _STATES[folder.state]}"


def _problems(problems: Sequence[Problem]) -> Iterator[str]:
    for problem in problems:
        yield from problem.lines("problem: ")
