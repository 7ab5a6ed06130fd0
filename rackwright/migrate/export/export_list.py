"""The list of an export: `objects.jsonl`, which only grows. The last line about an object counts.

A line is on disk before the next one, and after the files that it names. So a run that is killed leaves a list that
holds, and at most files that no line names. What the log knows of an export is the sha256 of a beginning of its list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from rackwright.errors import RackwrightError
from rackwright.migrate.export.export_line import ObjectLine, RunLine, parse_export_line
from rackwright.migrate.export.growing_file import GrowingFile
from rackwright.migrate.export.kinds import STORE_FILES, STORES

LIST = "objects.jsonl"


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
class ExportList:
    """The list in the folder `path`. Threads may share it."""

    path: Path
    known: dict[tuple[str, str], Known] = field(default_factory=dict)
    """By kind and id."""
    last_run: RunLine | None = None
    """None: no run has come to its end, or lines were added since."""
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        self._file = GrowingFile(self.path / LIST)

    @property
    def place(self) -> Path:
        return self._file.place

    @property
    def length(self) -> int:
        """Bytes of whole lines; what a killed run left after them is no line."""
        return self._file.length

    def load(self) -> ExportList:
        """Read the list, which is empty if there is none. Raise RackwrightError if a line is damaged."""
        for start, line, after in self._lines():
            self._take(start, line)
            self._file.length = after
        return self

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
        line = parse_export_line(self._file.at(start), str(self.place))
        if not isinstance(line, ObjectLine):
            raise RackwrightError("was changed while it was read", where=str(self.place))
        return line

    def append(self, line: ObjectLine | RunLine) -> None:
        """Add the line; it is on disk then. Raise RackwrightError if it can't be written."""
        content = line.model_dump_json(exclude_defaults=True, exclude={"format"})
        whole = f'{{"format":"{line.format}",{content[1:]}'.encode()
        with self._lock:
            self._take(self._file.append(whole), line)

    def mark_damaged(self, start: int) -> bool:
        """Let the object whose content is in the line that begins there count as not complete.

        Return False if a later line has another content of it.
        """
        found = False
        for key, one in self.known.items():
            if one.exported == start:
                self.known[key], found = replace(one, damaged=True), True
        return found

    def sha256(self, size: int | None = None) -> str | None:
        """Return the sha256 of the first bytes, or of all whole lines; None: there are fewer."""
        return self._file.sha256(size)

    def _lines(self) -> Iterator[tuple[int, ObjectLine | RunLine, int]]:
        """Yield where a line begins, the line, and where the next one begins."""
        for number, (start, text, after) in enumerate(self._file.lines(), 1):
            yield start, parse_export_line(text, f"{self.place} line {number}"), after

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
