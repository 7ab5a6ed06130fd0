"""A verdict as JSON, `verdict/1`."""

from __future__ import annotations

from dataclasses import asdict

from rackwright.report.document import Json
from rackwright.verdict import Verdict

FORMAT = "verdict/1"


def verdict_document(verdict: Verdict) -> dict[str, Json]:
    """Return the verdict with its format. Shares are from 0 to 1, times in seconds, ratios plain numbers."""
    return {"format": FORMAT, **asdict(verdict)}
