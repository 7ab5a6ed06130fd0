"""How long each file of tests takes (tests/durations.json), and the order that follows: longest first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from tests.times import figures
from tests.times.junit import Suite

PATH = Path(__file__).parents[1] / "durations.json"
_FORMAT = "durations/1"
_SHORT = 5
"""Seconds assumed for a file that isn't recorded."""
_ON_HOSTS = 60
"""The same for tests that need hosts."""

Item = TypeVar("Item")


def longest_first(items: Sequence[Item], file_of: Callable[[Item], str], recorded: dict[str, int]) -> list[Item]:
    """Return the items, sorted by the time of their files. The items of one file stay together and in order."""
    files = {file: at for at, file in reversed(list(enumerate(map(file_of, items))))}
    return sorted(items, key=lambda item: (-_expected(file_of(item), recorded), files[file_of(item)]))


def load(path: Path = PATH) -> dict[str, int]:
    """Return the seconds by file."""
    document = json.loads(path.read_text())
    assert document["format"] == _FORMAT, f"{path}: {document['format']}"
    seconds: dict[str, int] = document["seconds"]
    return seconds


def save(seconds: dict[str, int], path: Path = PATH) -> None:
    document = {"format": _FORMAT, "seconds": dict(sorted(seconds.items()))}
    path.write_text(json.dumps(document, indent=2) + "\n")


def renewed(recorded: dict[str, int], suites: Iterable[Suite], root: Path) -> dict[str, int]:
    """Return the record, updated with what these runs measured. Files that no longer exist are left out."""
    measured: dict[str, int] = {}
    for file in (file for suite in suites for file in figures.by_file(suite)):
        measured[file.name] = max(round(file.seconds), 1, measured.get(file.name, 0))
    return {
        name: seconds
        for name, seconds in (recorded | measured).items()
        if (root / name).is_file() and (seconds > _SHORT or _needs_hosts(name))
    }


def _expected(file: str, recorded: dict[str, int]) -> int:
    return recorded.get(file, _ON_HOSTS if _needs_hosts(file) else _SHORT)


def _needs_hosts(file: str) -> bool:
    return file.startswith(("tests/lab/", "tests/heavy/"))
