"""How much worse a candidate may be than the running version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """Each is the most by which the candidate may be worse. None of them asks for it to be better.

    The defaults lie between what two builds of one precision differ by, a few hundredths and a point or two, and what
    a wrong build does: twice the time, or tens of points. docs/verdict.md says why each is what it is.
    """

    errors: float = 0.01
    """Share of requests by which errors may rise: one more of a hundred."""
    ttft_median: float = 0.25
    """By which the time to the first token may rise, of the running version's."""
    ttft_p95: float = 0.50
    """So for the slow ones. Wider: of few requests the p95 is known less well."""
    tpot_median: float = 0.25
    """By which the time per output token may rise, of the running version's."""
    tpot_p95: float = 0.50
    """So for the slow ones."""
    formats: float = 0.05
    """Share of prompts with a format by which valid answers may fall: a client can't read the others."""
    golden: float = 0.05
    """Share of prompts by which passed checks may fall."""

    def __post_init__(self) -> None:
        """Raise ValueError if one could never be broken, or would ask for better."""
        for name in ("errors", "formats", "golden"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} should be a share above 0 and below 1")
        for name in ("ttft_median", "ttft_p95", "tpot_median", "tpot_p95"):
            if not 0 < getattr(self, name) <= 100:
                raise ValueError(f"{name} should be above 0 and at most 100")
