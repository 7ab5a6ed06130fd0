"""The types of a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Word(StrEnum):
    PASS = "PASS"  # noqa: S105 (no password)
    """The true difference is within the threshold."""
    FAIL = "FAIL"
    """The true difference is beyond the threshold and beyond the noise."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """Neither is certain yet."""


class Figure(StrEnum):
    """What is compared, in the order of a report."""

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
        """Whether the candidate's figure is divided by the running version's; if not, they are shares, subtracted."""
        return self not in (Figure.ERRORS, Figure.FORMATS, Figure.GOLDEN)

    @property
    def rise_is_worse(self) -> bool:
        return self not in (Figure.FORMATS, Figure.GOLDEN)

    @property
    def of(self) -> str:
        """What is counted, in the plural, for "not enough …"."""
        return "conversations" if self in _OF_TRAFFIC else "prompts"


_OF_TRAFFIC = (Figure.ERRORS, Figure.TTFT_MEDIAN, Figure.TTFT_P95, Figure.TPOT_MEDIAN, Figure.TPOT_P95)


@dataclass(frozen=True)
class Interval:
    """Contains the true difference with a given chance."""

    low: float
    high: float


@dataclass(frozen=True)
class Side:
    """One version's own figure."""

    count: int
    """Number of requests or prompts."""
    clusters: int
    """Number of these requests' conversations, or of prompts."""
    value: float | None
    """A share (0 to 1) or seconds; None: no data."""


@dataclass(frozen=True)
class Difference:
    """The difference between both versions: the candidate's figure divided by the running version's or, for shares,
    minus it."""

    estimate: float
    """The observed difference."""
    interval: Interval
    """Contains the true difference with the verdict's `chance`; decides a PASS."""
    wide: Interval
    """Contains it with the verdict's `wide_chance`; decides a FAIL."""
    noise: float | None
    """The noise floor: the same difference within the running version, at least 1 (ratio) or 0; None: not known."""


@dataclass(frozen=True)
class Comparison:
    """The judgment on one figure of both versions."""

    figure: Figure
    word: Word
    why: str
    """One sentence."""
    running: Side
    candidate: Side
    threshold: float
    """The largest allowed difference: a ratio like 1.25, or a share like 0.01 or -0.05."""
    difference: Difference | None
    """None: too little data."""
    needed: int | None = None
    """If INCONCLUSIVE: about how many of the candidate's conversations, or prompts, would decide; None: not known."""
    decides: bool = True
    """False for an open time of the golden set if clients' requests show the same time, and decide instead."""


@dataclass(frozen=True)
class Verdict:
    word: Word
    why: str
    """One sentence for an operator on call."""
    comparisons: tuple[Comparison, ...]
    """In the order of Figure."""
    chance: float
    """Chance that an interval contains the true difference: 0.95, or more if there are several looks at the data."""
    wide_chance: float
    """Chance for a wide interval, chosen so that all of them together have `chance`."""
    not_compared: tuple[str, ...] = ()
    """What couldn't be compared, and why, one sentence each."""
    golden_digest: str | None = None
    """sha256 of the golden set; None: there was none."""

    def of(self, word: Word) -> tuple[Comparison, ...]:
        """Return the comparisons with this word."""
        return tuple(comparison for comparison in self.comparisons if comparison.word is word)
