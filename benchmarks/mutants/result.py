"""The outcome of each mutant, kept in benchmarks/raw/mutants.json, and the score."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.measure import RAW
from benchmarks.mutants.explained import explained
from benchmarks.mutants.mutation import Mutation
from benchmarks.mutants.targets import SEED, TARGETS, Target
from benchmarks.mutants.trial import Tried

FILE = RAW / "mutants.json"
LEAST = 0.9
"""Of the mutants that change anything, the part that unit tests must kill."""

Row = Mapping[str, object]


def read(path: Path = FILE) -> dict[str, list[Row]]:
    return json.loads(path.read_text())["targets"] if path.exists() else {}


def row_of(one: Mutation) -> Row:
    return {"module": one.module, "line": one.line, "kind": one.kind, "was": one.was, "becomes": one.becomes}


def tried_row(one: Tried) -> Row:
    return {**row_of(one.mutation), "outcome": one.outcome, "by": one.by}


def write(target: Target, done: Sequence[Tried], path: Path = FILE) -> None:
    """Afterwards the file has this target's mutants as they were tried now; the other targets' stay."""
    results = read(path) | {target.name: [tried_row(one) for one in done]}
    ordered = {known.name: results[known.name] for known in TARGETS if known.name in results}
    path.write_text(json.dumps({"seed": SEED, "targets": ordered}, indent=1) + "\n")


def again(target: Target, mutants: Sequence[Mutation]) -> tuple[list[Mutation], list[Tried]]:
    """Return which of these mutants survived last time or are new, and what the file has of the others."""
    known = {key(row): row for row in read().get(target.name, [])}
    rows = [(one, known.get(key(row_of(one)))) for one in mutants]
    kept = [Tried(one, str(row["outcome"]), str(row["by"])) for one, row in rows if row and killed(row)]
    return [one for one, row in rows if not row or not killed(row)], kept


def key(row: Row) -> tuple[object, ...]:
    """What stays the same when lines move."""
    return tuple(row[name] for name in ("module", "kind", "was", "becomes"))


def killed(row: Row) -> bool:
    return row["outcome"] != "survived"


def survivors(results: Mapping[str, Sequence[Row]]) -> list[Row]:
    return [row for rows in results.values() for row in rows if not killed(row)]


def reason(row: Row) -> str | None:
    return explained().get((str(row["module"]), str(row["was"]), str(row["becomes"])))


def score(rows: Sequence[Row]) -> float:
    """Return which part was killed of those that aren't the same program."""
    dead = [row for row in rows if killed(row)]
    left = [row for row in rows if not killed(row) and not (reason(row) or "").startswith("equivalent")]
    return len(dead) / max(1, len(dead) + len(left))


def missed(results: Mapping[str, Sequence[Row]]) -> bool:
    rows = [row for some in results.values() for row in some]
    return score(rows) < LEAST or any(reason(row) is None for row in survivors(results))


def show(results: Mapping[str, Sequence[Row]]) -> None:
    print(f"{'':14}{'mutants':>8}{'killed':>8}{'survived':>10}{'score':>8}")
    everything = [row for rows in results.values() for row in rows]
    for name, rows in [*results.items(), ("all", everything)]:
        left = sum(not killed(row) for row in rows)
        print(f"{name:14}{len(rows):8}{len(rows) - left:8}{left:10}{score(rows):8.1%}")
    for row in survivors(results):
        print(f"{row['module']}:{row['line']} {row['kind']}\n  - {row['was']}\n  + {row['becomes']}")
        print(f"  {reason(row) or 'NOT EXPLAINED'}")
