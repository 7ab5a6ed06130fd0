"""What clients may send, but replay, score and capacity don't: it leaves something at the provider, or costs more.

Both sides are asked without it, so that they are asked the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

UNSENT = frozenset(("store", "metadata", "service_tier"))
"""Fields of a body. Metadata is only allowed with what is stored; the plan's prices are those of the usual tier."""
_SENT: Mapping[str, JsonValue] = {"store": False, "service_tier": "default"}
"""Values that ask for just that, whatever the settings of the provider's project are."""


def without_unsent(body: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Return the body that may be sent."""
    return {key: value for key, value in body.items() if key not in UNSENT or _is_sent(key, value)}


def _is_sent(key: str, value: JsonValue) -> bool:
    return key in _SENT and value == _SENT[key]
