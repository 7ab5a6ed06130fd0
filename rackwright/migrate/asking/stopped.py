"""Why a replay ended before its sample did, or why a side can't be asked any further."""

from __future__ import annotations

from collections.abc import Mapping
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

    def before(self, command: str, cloud: str) -> str:
        """Return the command with what to do before it. `cloud`: one of the fleet file's."""
        first = _FIRST.get(self.kind)
        return f"{first.format(cloud=cloud)}, then {command}" if first else command


_WORDS: Mapping[Kind, str] = {
    "budget": "the budget is used up",
    "interrupted": "it was interrupted",
    "failed": "failed",
    "folder": "the answers can't be written: {detail}",
    "rate limit": "the {side} answers nothing but 429 {detail}",
    "long wait": "the {side} asks to wait {detail}",
    "key refused": "the gateways refuse the temporary key with {detail}",
    "cloud's key refused": "the cloud refuses the key that the gateways have",
    "redirect": "the {side} redirects, which isn't followed",
    "untrusted": "the gateways' certificate isn't trusted",
    "no model": "the gateways don't pass one of the models to the {side}",
    "unanswered": "the {side} left {detail}",
}
_FIRST: Mapping[Kind, str] = {
    "key refused": "rackwright check",
    "cloud's key refused": "check clouds.{cloud}.key, then rackwright check",
    "redirect": "check clouds.{cloud}.url, then rackwright check",
    "untrusted": "rackwright check",
    "no model": "rackwright apply",
    "unanswered": "rackwright status",
}
