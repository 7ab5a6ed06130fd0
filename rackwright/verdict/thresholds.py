"""How much worse a candidate may be than the running version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """Each threshold is the largest allowed deterioration. None of them requires an improvement.

    The defaults are between the difference of two builds of the same precision (a few percent, a point or two) and
    that of a wrong build (twice the time, or tens of points). docs/verdict.md gives the reason for each.
    """

    errors: float = 0.01
    """Allowed rise of the share of failed requests: one more in a hundred."""
    ttft_median: float = 0.25
    """Allowed rise of the median time to the first token, relative to the running version."""
    ttft_p95: float = 0.50
    """The same for the 95th percentile. Wider, because few requests determine a p95 less precisely."""
    tpot_median: float = 0.25
    """Allowed rise of the median time per output token, relative to the running version."""
    tpot_p95: float = 0.50
    """The same for the 95th percentile."""
    formats: float = 0.05
    """Allowed fall of the share of valid answers, among prompts that ask for a format."""
    golden: float = 0.05
    """Allowed fall of the share of prompts whose check passes."""

    def __post_init__(self) -> None:
        """Raise ValueError if a threshold could never be exceeded, or would require an improvement."""
        for name in ("errors", "formats", "golden"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} should be a share above 0 and below 1")
        for name in ("ttft_median", "ttft_p95", "tpot_median", "tpot_p95"):
            if not 0 < getattr(self, name) <= 100:
                raise ValueError(f"{name} should be above 0 and at most 100")
