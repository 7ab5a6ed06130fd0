"""One mutant of a file, as text."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    module: str
    kind: str
    line: int
    was: str
    """The lines that it changes, without indentation."""
    becomes: str
    """The new text; empty: the lines are removed."""
    text: str
    """The whole file."""

    @property
    def place(self) -> tuple[int, str]:
        """A sample takes at most one mutant with the same place."""
        return self.line, self.kind


def mutation(module: str, kind: str, before: str, after: str) -> Mutation | None:
    """Return the mutation between two texts of a file; None: they are the same."""
    old, new = before.splitlines(), after.splitlines()
    changed = [
        part for part in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if part[0] != "equal"
    ]
    if not changed:
        return None
    first, last = changed[0], changed[-1]
    was, becomes = old[first[1] : last[2]], new[first[3] : last[4]]
    return Mutation(module, kind, first[1] + 1, _joined(was), _joined(becomes), after)


def _joined(lines: list[str]) -> str:
    return "\n".join(line.strip() for line in lines)
