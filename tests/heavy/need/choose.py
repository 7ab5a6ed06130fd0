"""Which heavy test files run, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.heavy.need.files import HeavyFile
from tests.heavy.need.reach import touching
from tests.heavy.need.record import Record
from tests.heavy.need.rotation import share

RECIPES = "Makefile (test-heavy)"
"""Added to the changed files if the Makefile now runs heavy tests in another way."""
DECIDING = (
    RECIPES,
    ".ci/run",
    "pyproject.toml",
    "rackwright/deploys",
    "rackwright/roles",
    "tests/heavy/need",
    "tests/import_graph.py",
    "uv.lock",
)
"""A change to one of these runs all files: the selection itself, CI, pytest's settings, the links to roles and
deploys, and every library."""


@dataclass(frozen=True)
class Choice:
    file: HeavyFile
    why: str | None
    """Why it runs; None if it doesn't."""


Changed = Collection[str] | None
"""Paths that changed; None: not known."""


def choose(
    files: Collection[HeavyFile],
    record: Record,
    number: int,
    changed: Changed,
    since: Callable[[str], Changed] = lambda _: None,
) -> list[Choice]:
    """Return for each file whether it runs, given what changed in this landing, and since a commit.

    What is touched runs, unless it passed in this landing after the last change that touches it. Of the rest, a share
    runs, so that CI repeats a part of what the author recorded.
    """
    touched = {file.name: why for file in files if (why := _touched(file, changed))}
    due = {file.name for file in files if file.name in touched and not _passed(file, record, number, since)}
    resting = [file.name for file in files if file.name not in due]
    turn = share(record, number, [file.name for file in files], resting)
    return [Choice(file, _why(file.name, touched, due, turn)) for file in files]


def _touched(file: HeavyFile, changed: Changed) -> str | None:
    """Return why the file is touched; None: it isn't."""
    if why := for_all(changed):
        return why
    found = touching(file, changed or ())
    return f"touched: {_shown(found)}" if found else None


def _passed(file: HeavyFile, record: Record, number: int, since: Callable[[str], Changed]) -> bool:
    """Return whether it passed in this landing, and nothing that touches it has changed since."""
    passed = record.passed.get(file.name)
    if passed is None or passed.landing != number or passed.commit is None:
        return False
    changed = since(passed.commit)
    return changed is not None and not _touched(file, changed)


def for_all(changed: Changed) -> str | None:
    """Return why all files run, or None."""
    if changed is None:
        return "what changed is not known"
    deciding = sorted(path for path in changed if _decides(path))
    return f"all: {_shown(deciding)} changed" if deciding else None


def _decides(path: str) -> bool:
    return any(map(PurePosixPath(path).is_relative_to, DECIDING))


def _why(name: str, touched: Mapping[str, str], due: Collection[str], turn: Collection[str]) -> str | None:
    if name in due:
        return touched[name]
    return "its turn" if name in turn else None


def _shown(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
