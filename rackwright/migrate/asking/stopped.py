"""Why a replay ended before its sample did, or why a side can't be asked any further."""

from __future__ import annotations

from typing import Literal

from rackwright.migrate.side import Side
from rackwright.values.base import Stored

Kind = Literal[
    "budget",
    "interrupted",
    "failed",
    "folder",
    "rate limit",
    "long wait",
    "key refused",
    "cloud's key refused",
    "redirect",
    "untrusted",
    "no model",
    "unanswered",
]
"""budget: it covers no further request; interrupted: the operator stopped it; folder: answers can't be written; key
refused: the gateways refuse the temporary key; cloud's key refused: the cloud refuses the gateways' key; no model:
nothing on this side answers it."""


class Stopped(Stored):
    kind: Kind
    side: Side | None = None
    """None: it isn't about one side."""
    detail: str = ""
    """What was seen, in a few words, like HTTP 500."""

    def line(self) -> str:
        """Return it in words."""
        return _WORDS[self.kind].format(side=self.side, detail=self.detail).rstrip()


_WORDS: dict[Kind, str] = {
    "budget": "the budget is used up",
    "interrupted": "interrupted",
    "failed": "failed",
    "folder": "the answers can't be written: {detail}",
    "rate limit": "the {side} answers nothing but 429 {detail}",
    "long wait": "the {side} asks to wait {detail}",
    "key refused": "the {side} refuses the key with {detail}",
    "cloud's key refused": "the cloud refuses the key that the gateways have",
    "redirect": "the {side} redirects, which isn't followed",
    "untrusted": "the {side}'s certificate isn't trusted",
    "no model": "the gateways have nothing that answers a model on this side",
    "unanswered": "the {side} left {detail}",
}
