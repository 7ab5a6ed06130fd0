"""Which heavy test files run, and why."""

from __future__ import annotations

from collections.abc import Collection
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


def choose(
    files: Collection[HeavyFile], record: Record, number: int, changed: Collection[str] | None
) -> list[Choice]:
    """Return for each file whether it runs, given the files that changed; `changed` is None if that is unknown."""
    if why := for_all(changed):
        return [Choice(file, why) for file in files]
    assert changed is not None
    touched = {file.name: found for file in files if (found := touching(file, changed))}
    resting = [file.name for file in files if file.name not in touched]
    turn = share(record, number, [file.name for file in files], resting)
    return [Choice(file, _why(file.name, touched, turn)) for file in files]


def for_all(changed: Collection[str] | None) -> str | None:
    """Return why all files run, or None."""
    if changed is None:
        return "what changed is not known"
    deciding = sorted(path for path in changed if _decides(path))
    return f"all: {_shown(deciding)} changed" if deciding else None


def _decides(path: str) -> bool:
    return any(map(PurePosixPath(path).is_relative_to, DECIDING))


def _why(name: str, touched: dict[str, list[str]], turn: Collection[str]) -> str | None:
    if name in touched:
        return f"touched: {_shown(touched[name])}"
    return "its turn" if name in turn else None


def _shown(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
