"""Count what an export does, and say it from time to time."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from rackwright.migrate.export.export_line import HARMLESS, ObjectLine
from rackwright.migrate.export.export_result import MOST_MISSING, KindCount, Missing
from rackwright.migrate.export.kinds import KINDS, LISTED, WEIGHTS
from rackwright.report.words import counted, size

SAY_SECONDS = 10.0
ORDER = (*KINDS, WEIGHTS)


@dataclass
class Tally:
    """Threads share it."""

    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    missing: list[Missing] = field(default_factory=list)
    """The first ones."""
    unlisted: dict[str, str] = field(default_factory=dict)
    not_offered: list[str] = field(default_factory=list)
    harmful: int = 0
    """Missing objects that keep the export from being whole."""
    _counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _lock: Lock = field(default_factory=Lock, repr=False)
    _said: float = 0.0

    def __post_init__(self) -> None:
        self._said = self.clock()

    @property
    def kinds(self) -> dict[str, KindCount]:
        return {kind: KindCount.model_validate(self._counts[kind]) for kind in ORDER if kind in self._counts}

    @property
    def lists_nothing(self) -> bool:
        """Whether no kind could be listed."""
        return len(self.unlisted.keys() | self.not_offered) == len(LISTED)

    @property
    def has_objects(self) -> bool:
        """Whether the provider has given any object, or one that is exported already."""
        return any(one.new or one.changed or one.same for one in self.kinds.values())

    def count(self, kind: str, what: str, bytes: int = 0) -> None:
        """`what`: a field of KindCount."""
        with self._lock:
            self._counts[kind][what] += 1
            self._counts[kind]["bytes"] += bytes
            self._progress()

    def lacks(self, line: ObjectLine) -> None:
        """Count an object that is missing."""
        why = line.why or "failed"
        with self._lock:
            self._counts[line.kind]["missing"] += 1
            self.harmful += why not in HARMLESS
            if len(self.missing) < MOST_MISSING:
                self.missing.append(Missing(kind=line.kind, id=line.id, why=why, reason=line.reason))
            self._progress()

    def unusable(self, kind: str) -> None:
        """Count a listed object whose id can't be used."""
        with self._lock:
            self._counts[kind]["listed"] += 1
            self.unlisted[kind] = "it lists objects without an id that can be used"

    def _progress(self) -> None:
        now = self.clock()
        if now - self._said < SAY_SECONDS:
            return
        self._said = now
        every = self._counts.values()
        done = sum(one[what] for one in every for what in ("new", "changed", "same"))
        missing, fetched = (sum(one[what] for one in every) for what in ("missing", "bytes"))
        lacking = f", {missing:,} can't be" if missing else ""
        self.say(f"{counted(done, 'object')} exported{lacking}; {size(fetched)} fetched")
