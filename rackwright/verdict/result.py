"""What a verdict says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Word(StrEnum):
    PASS = "PASS"  # noqa: S105 (no password)
    """Whatever the true difference is, it is within the threshold."""
    FAIL = "FAIL"
    """Whatever the true difference is, it lies beyond the threshold and beyond the noise."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """Neither can be said yet."""


class Figure(StrEnum):
    """What is compared, in the order in which it is told."""

    ERRORS = "errors"
    TTFT_MEDIAN = "median time to first token"
    TTFT_P95 = "p95 of time to first token"
    TPOT_MEDIAN = "median time per token"
    TPOT_P95 = "p95 of time per token"
    GOLDEN_TTFT = "golden time to first token"
    GOLDEN_TPOT = "golden time per token"
    FORMATS = "valid formats"
    GOLDEN = "golden score"

    @property
    def is_ratio(self) -> bool:
        """Whether the candidate's figure is divided by the running version's; else theirs are shares, subtracted."""
        return self not in (Figure.ERRORS, Figure.FORMATS, Figure.GOLDEN)

    @property
    def rise_is_worse(self) -> bool:
        return self not in (Figure.FORMATS, Figure.GOLDEN)

    @property
    def of(self) -> str:
        """What is counted: the plural of what more is needed of."""
        return "conversations" if self in _OF_TRAFFIC else "prompts"


_OF_TRAFFIC = (Figure.ERRORS, Figure.TTFT_MEDIAN, Figure.TTFT_P95, Figure.TPOT_MEDIAN, Figure.TPOT_P95)


@dataclass(frozen=True)
class Interval:
    """Where the true difference lies, with a stated chance."""

    low: float
    high: float


@dataclass(frozen=True)
class Side:
    """One version's own figure."""

    count: int
    """Requests or prompts that it is from."""
    clusters: int
    """Conversations of these requests; of prompts, as many as there are prompts."""
    value: float | None
    """A share (0 to 1) or seconds; None: there was nothing to take it from."""


@dataclass(frozen=True)
class Difference:
    """Of one figure between both versions: the candidate's in times the running version's or, of shares, less it."""

    estimate: float
    """The one that was seen."""
    interval: Interval
    """Where the true one lies, with the verdict's `chance`: what a PASS is judged by."""
    wide: Interval
    """The same with the verdict's `wide_chance`: what a FAIL is judged by."""
    noise: float | None
    """The noise floor: the same difference, of the running version to itself, at least 1 or 0; None: not known."""


@dataclass(frozen=True)
class Comparison:
    """One figure of both versions, judged."""

    figure: Figure
    word: Word
    why: str
    """One sentence."""
    running: Side
    candidate: Side
    threshold: float
    """The difference at which it becomes too bad: a ratio like 1.25, or a share like 0.01 or -0.05."""
    difference: Difference | None
    """None: too little is known."""
    needed: int | None = None
    """Of an INCONCLUSIVE one: about how many of the candidate's conversations, or of prompts, would decide; None:
    nobody can say."""
    decides: bool = True
    """False: the golden set leaves a time open that clients' requests tell, and theirs decides."""


@dataclass(frozen=True)
class Verdict:
    word: Word
    why: str
    """One sentence, for someone who has been woken."""
    comparisons: tuple[Comparison, ...]
    """Those that were made, in the order of Figure."""
    chance: float
    """That an interval holds the true difference: 0.95, more where there are several looks at the same data."""
    wide_chance: float
    """That a wide one does: so much that all of them do with `chance`."""
    not_compared: tuple[str, ...] = ()
    """What there was nothing to compare of, and why, a sentence each."""
    golden_digest: str | None = None
    """sha256 of the golden set; None: there was none."""

    def of(self, word: Word) -> tuple[Comparison, ...]:
        """Return the comparisons that ended so."""
        return tuple(comparison for comparison in self.comparisons if comparison.word is word)
