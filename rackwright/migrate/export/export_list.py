"""The list of an export: `objects.jsonl`, which only grows. The last line about an object counts.

A line is on disk before the next one, and after the files that it names. So a run that is killed leaves a list that
holds, and at most files that no line names. What the log knows of an export is the sha256 of a beginning of its list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from rackwright.errors import RackwrightError
from rackwright.migrate.export.export_line import ObjectLine, RunLine, parse_export_line
from rackwright.migrate.export.growing_list import GrowingList
from rackwright.migrate.export.kinds import STORE_FILES, STORES


@dataclass(frozen=True, slots=True)
class Known:
    """What the list says of an object."""

    last: int
    """Where its last line begins."""
    exported: int | None
    """Where the last line begins that has its content; None: there is none."""
    listed: str
    """Of that line."""
    missing: bool
    """Whether the last line says that it is missing."""
    gone: bool
    reason: str = ""
    damaged: bool = False
    """Whether files of its content are missing or were changed."""

    @property
    def complete(self) -> bool:
        return self.exported is not None and not (self.missing or self.gone or self.damaged)


@dataclass
class ExportList(GrowingList[ObjectLine | RunLine]):
    FILE = "objects.jsonl"

    known: dict[tuple[str, str], Known] = field(default_factory=dict)
    """By kind and id."""
    last_run: RunLine | None = None
    """None: no run has come to its end, or lines were added since."""

    def contents(self) -> Iterator[tuple[int, ObjectLine]]:
        """Yield each line with a content, also those that later ones replace, and where it begins."""
        for start, line, _ in self._lines():
            if isinstance(line, ObjectLine) and line.state == "exported":
                yield start, line

    def complete(self) -> Iterator[ObjectLine]:
        """Yield the newest content of each object that the provider has, and that is whole here.

        A vector store is so if all its files are. Whether the list says what the provider has now: `last_run`.
        """
        bad = ((kind, id) for (kind, id), one in self.known.items() if one.missing or one.damaged)
        torn = {id.partition("/")[0] for kind, id in bad if kind == STORE_FILES}
        for (kind, id), one in self.known.items():
            if one.complete and one.exported is not None and not (kind == STORES and id in torn):
                yield self.line_at(one.exported)

    def missing(self) -> Iterator[ObjectLine]:
        """Yield the last line of each object that is missing."""
        yield from (self.line_at(one.last) for one in self.known.values() if one.missing)

    def earlier(self, kind: str, id: str) -> ObjectLine | None:
        """Return the newest line with the object's content, None if there is none."""
        found = self.known.get((kind, id))
        return None if found is None or found.exported is None else self.line_at(found.exported)

    def line_at(self, start: int) -> ObjectLine:
        """Return the line about an object that begins there."""
        line = self._at(start)
        if not isinstance(line, ObjectLine):
            raise RackwrightError("was changed while it was read", where=str(self.place))
        return line

    def mark_damaged(self, start: int) -> bool:
        """Let the object whose content is in the line that begins there count as not complete.

        Return False if a later line has another content of it.
        """
        found = False
        for key, one in self.known.items():
            if one.exported == start:
                self.known[key], found = replace(one, damaged=True), True
        return found

    def _parsed(self, text: bytes, where: str) -> ObjectLine | RunLine:
        return parse_export_line(text, where)

    def _take(self, start: int, line: ObjectLine | RunLine) -> None:
        self.last_run = line if isinstance(line, RunLine) else None
        if isinstance(line, RunLine):
            return
        before = self.known.get((line.kind, line.id))
        content = line.state == "exported"
        self.known[line.kind, line.id] = Known(
            start,
            start if content else before.exported if before else None,
            line.listed if content else before.listed if before else "",
            line.state == "missing",
            line.state == "gone",
            line.reason,
            bool(before and before.damaged and not content),
        )
