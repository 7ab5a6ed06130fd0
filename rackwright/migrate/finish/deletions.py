"""The list of what was deleted at the provider: `deletions.jsonl` next to the export's list. It only grows.

A line is on disk before the provider is asked, and another one when its answer is known. So a run that is killed
leaves each object as asked for, deleted, or neither.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from pydantic import ValidationError

from rackwright.errors import RackwrightError
from rackwright.migrate.export.growing_list import GrowingList
from rackwright.migrate.finish.order import Key
from rackwright.values.base import Stored

State = Literal["asked", "deleted", "gone", "kept"]
"""asked: its deletion was about to be asked for; deleted: that was accepted, and then it was 404; gone: it was 404
already; kept: it is still there, or nothing shows that it isn't."""
ABSENT: tuple[State, ...] = ("deleted", "gone")


class DeletionLine(Stored):
    format: Literal["export-deletion/1"] = "export-deletion/1"
    kind: str
    id: str
    state: State
    at: float
    """Unix seconds."""
    accepted: bool = False
    """Of what is kept: whether the provider has accepted its deletion."""
    reason: str = ""
    """Why it is kept, in a few words."""


@dataclass
class Deletions(GrowingList[DeletionLine]):
    FILE = "deletions.jsonl"

    known: dict[Key, State] = field(default_factory=dict)
    kept: dict[Key, DeletionLine] = field(default_factory=dict)
    """The last line of what is kept."""

    def note(self, key: Key, state: State, reason: str = "", *, accepted: bool = False) -> None:
        """Add a line; it is on disk then. Raise RackwrightError if it can't be written."""
        at = time.time()
        self.append(DeletionLine(kind=key[0], id=key[1], state=state, at=at, accepted=accepted, reason=reason))

    def absent(self, key: Key) -> bool:
        """Return whether the provider has shown that it doesn't have this object any more."""
        return self.known.get(key) in ABSENT

    def asked(self, key: Key) -> bool:
        """Return whether its deletion was accepted, or was asked for by a run that was killed then."""
        kept = self.kept.get(key)
        return self.known.get(key) == "asked" or (kept is not None and kept.accepted)

    def of(self, kind: str) -> Iterator[tuple[Key, State]]:
        yield from ((key, state) for key, state in list(self.known.items()) if key[0] == kind)

    def counts(self) -> Counter[tuple[str, State]]:
        """Return how many objects of each kind are in each state."""
        return Counter((kind, state) for (kind, _), state in self.known.items())

    def _parsed(self, text: bytes, where: str) -> DeletionLine:
        return parse_deletion_line(text, where)

    def _take(self, start: int, line: DeletionLine) -> None:
        key = (line.kind, line.id)
        self.known[key] = line.state
        if line.state == "kept":
            self.kept[key] = line
        else:
            self.kept.pop(key, None)


def parse_deletion_line(text: bytes, where: str) -> DeletionLine:
    """Return the line. Raise RackwrightError if it is none."""
    try:
        return DeletionLine.model_validate_json(text)
    except ValidationError:
        raise RackwrightError(
            "a line is damaged, or a newer rackwright wrote it", where=where, should="restore the export from a copy"
        ) from None
