"""The result of a score. It contains no text of a request or an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rackwright.values.base import Stored
from rackwright.verdict.result import Word

Kind = Literal["all", "model", "check", "judge", "golden"]


class Segment(Stored):
    """Requests that are judged together."""

    kind: Kind
    of: str = ""
    """The provider's model, or the check; "" for all requests."""
    pairs: int
    fleet: float | None = None
    """Share of the pairs in which the fleet's answer is good, 0 to 1. None: no pairs; the same for those below."""
    again: float | None = None
    """The noise floor: share in which the cloud's second answer is good; for the golden set, its only one."""
    difference: float | None = None
    """fleet - again."""
    low: float | None = None
    """The 95 % interval of the difference; decides a PASS."""
    high: float | None = None
    wide_low: float | None = None
    """The interval that is wide enough for all segments together; decides a FAIL."""
    wide_high: float | None = None
    word: Word
    why: str
    """One sentence."""
    needed: int | None = None
    """If INCONCLUSIVE: about how many pairs would decide; None: it can't be said."""
    decides: bool
    """Whether the whole result depends on it: not for a check with few pairs that doesn't FAIL."""

    @property
    def name(self) -> str:
        return f"{self.kind} {self.of}" if self.of else self.kind


class Unlike(Stored):
    """A request that the fleet answered worse than the cloud did the second time."""

    request: str
    """Its id."""
    model: str
    checks: tuple[str, ...]
    """Those that only the cloud's second answer passes."""


class Scored(Stored):
    """The result of one score."""

    format: Literal["migration-score/1"] = "migration-score/1"
    word: Word
    why: str
    """One sentence."""
    margin: float
    """Points by which the fleet's answers may be worse."""
    least: int
    """The fewest pairs for a PASS."""
    chance: float
    """Chance that an interval contains the true difference."""
    wide_chance: float
    requests: int
    """How many were scored."""
    fleet_failed: int
    """Requests among these that the fleet answered with an error, or not at all."""
    left_out: Mapping[str, int] = {}
    """Why requests weren't scored → how many."""
    segments: tuple[Segment, ...]
    doubts: tuple[str, ...] = ()
    """What a reader must know, one sentence each."""
    unlike: tuple[Unlike, ...] = ()
    """Those with the most differences."""
    judge: str | None = None
    golden_digest: str | None = None
    """sha256 of the golden set; None: there was none."""

    @property
    def passed(self) -> bool:
        return self.word is Word.PASS
