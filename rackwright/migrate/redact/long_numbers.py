"""Where a text has long numbers: only there can be what is found by its digits."""

from __future__ import annotations

import re

from rackwright.migrate.redact.find import MayHave

_AROUND = 48
"""Characters; an IBAN with spaces has at most 42."""
_LONG_NUMBER = re.compile(r"[0-9](?:[ ()./\u00a0-]{0,3}[0-9]){8,40}|[0-9]{7,8}-?[A-Za-z]")
"""Nine digits, or the eight or seven of a Spanish number. A date has eight."""
NUMBER: MayHave = _LONG_NUMBER.search


def near_numbers(text: str) -> list[tuple[int, int]]:
    """Return the parts of a text around its long numbers; the rest can't have what is found by its digits."""
    spans: list[tuple[int, int]] = []
    for found in _LONG_NUMBER.finditer(text):
        start, end = max(0, found.start() - _AROUND), min(len(text), found.end() + _AROUND)
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans
