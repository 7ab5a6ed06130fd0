"""Judge whether a new version of a model may replace the running one: PASS, FAIL or INCONCLUSIVE. Pure."""

from rackwright.verdict.decide import decide
from rackwright.verdict.inputs import Answer, Evidence, GoldenAnswers, Pair, Request, Traffic
from rackwright.verdict.result import Comparison, Difference, Figure, Interval, Side, Verdict, Word
from rackwright.verdict.thresholds import Thresholds

__all__ = [
    "Answer",
    "Comparison",
    "Difference",
    "Evidence",
    "Figure",
    "GoldenAnswers",
    "Interval",
    "Pair",
    "Request",
    "Side",
    "Thresholds",
    "Traffic",
    "Verdict",
    "Word",
    "decide",
]
