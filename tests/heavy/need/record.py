"""When each heavy test file last passed, and at which commit. A landing is a change for which CI runs once."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.import_graph import ROOT

FORMAT = "heavy-passed/1"
RECORD = "tests/heavy/passed.json"
LIMIT = 5
"""Each file passes at least once in this many landings."""


@dataclass(frozen=True)
class Passed:
    landing: int
    on: str
    commit: str | None
    """HEAD, with `-dirty` if the tree had other changes; None if unknown."""
    seconds: float | None
    """How long its tests took together; None if unknown."""


@dataclass(frozen=True)
class Record:
    landing: int
    """The newest landing that was recorded."""
    base: str
    """The commit that had landed before it."""
    passed: dict[str, Passed]

    def number(self, base: str | None) -> int:
        """Return the number of the landing that is compared with this commit."""
        return self.landing + (base not in (None, self.base))

    def with_passed(self, base: str, new: dict[str, Passed]) -> Record:
        return replace(self, landing=self.number(base), base=base, passed={**self.passed, **new})

    def overdue(self, names: list[str]) -> list[str]:
        """Return the files that passed in none of the last five landings."""
        return [
            name for name in names if name not in self.passed or self.passed[name].landing <= self.landing - LIMIT
        ]


def load(path: Path = ROOT / RECORD) -> Record:
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.pop("format") != FORMAT:
        raise ValueError(f"{path} doesn't begin with {FORMAT!r}.")
    passed = {name: Passed(**said) for name, said in document.pop("passed").items()}
    return Record(**document, passed=passed)


def save(record: Record, path: Path = ROOT / RECORD) -> None:
    document = {"format": FORMAT, **asdict(record)}
    document["passed"] = dict(sorted(document["passed"].items()))
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
