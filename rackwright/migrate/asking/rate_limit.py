"""Until when a provider takes no more requests, by the headers of its answers."""

from __future__ import annotations

import re
from collections.abc import Mapping

LONGEST = 3600.0
"""Seconds; a longer time counts as this."""
_TIME = re.compile(r"(?=.)(?:([0-9]{1,4})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,7}(?:\.[0-9]{1,9})?)s)?")
_MILLISECONDS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)ms")


def until_reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until requests are allowed again; None: there are some left, or the headers don't say.

    `headers`: names in lower case.
    """
    if headers.get("x-ratelimit-remaining-requests", "").strip() != "0":
        return None
    return _seconds(headers.get("x-ratelimit-reset-requests", "").strip())


def _seconds(text: str) -> float | None:
    """Return the seconds of a text like 20ms, 1.5s or 6m0s."""
    if found := _MILLISECONDS.fullmatch(text):
        return min(float(found[1]) / 1000, LONGEST)
    if not (found := _TIME.fullmatch(text)):
        return None
    hours, minutes, seconds = (float(one or 0) for one in found.groups())
    return min(hours * 3600 + minutes * 60 + seconds, LONGEST)
