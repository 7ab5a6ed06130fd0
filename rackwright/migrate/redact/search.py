"""Replaces what is found in one text."""

from __future__ import annotations

import re

from rackwright.migrate.redact.find import Find, all_of
from rackwright.migrate.redact.kinds import FINDERS, MAY_HAVE, QUICK
from rackwright.migrate.redact.long_numbers import NUMBER, near_numbers
from rackwright.migrate.redact.opaque import kind_of
from rackwright.migrate.redact.placeholders import PLACEHOLDER, Placeholders

Custom = tuple[tuple[str, re.Pattern[str]], ...]
"""The operator's kinds, each with its pattern."""


def redacted(text: str, custom: Custom, placeholders: Placeholders) -> str:
    """Return a text that can be encoded, with placeholders for what is found in it."""
    text = _built_in(_encodable(text), placeholders)
    for kind, pattern in custom:
        parts = PLACEHOLDER.split(text)
        parts[::2] = [_replaced(kind, all_of(pattern), one, [(0, len(one))], placeholders) for one in parts[::2]]
        text = "".join(parts)
    return text


def _built_in(text: str, placeholders: Placeholders) -> str:
    if not MAY_HAVE.search(text):
        return text
    lower = text.lower()
    present = {may_have for may_have in QUICK if may_have(lower)}
    near, seen = near_numbers(text) if NUMBER in present else [], text
    for kind, find, where in [(kind, find, may) for kind, may, find in FINDERS if may in present]:
        if where is NUMBER and text is not seen:
            near, seen = near_numbers(text), text
        text = _replaced(kind, find, text, near if where is NUMBER else [(0, len(text))], placeholders)
    return text


def _replaced(kind: str, find: Find, text: str, spans: list[tuple[int, int]], placeholders: Placeholders) -> str:
    parts: list[str] = []
    done = 0
    for start, end in (found for span in spans for found in find(text, *span)):
        if start >= done:
            parts += text[done:start], placeholders.of(kind_of(kind, text, start), text[start:end])
            done = end
    return "".join((*parts, text[done:])) if parts else text


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text
