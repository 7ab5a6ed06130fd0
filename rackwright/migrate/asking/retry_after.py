"""How long a side asks to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0
"""Seconds; a longer time counts as this."""
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that `retry-after-ms` or `Retry-After` asks to wait, None if neither says it.

    `headers`: names in lower case.
    """
    if _SECONDS.fullmatch(text := headers.get("retry-after-ms", "").strip()):
        return min(float(text) / 1000, LONGEST)
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST)
    try:
        moment = parsedate_to_datetime(text[:64])
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    until = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), LONGEST)
