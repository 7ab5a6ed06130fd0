"""Digests of a plan and of each of its keys, to see later what of it has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from rackwright.migrate.plan.plan import Plan

DIGITS = 16
"""Of a key's digest: it tells values apart; it protects nothing."""
_WHOLE = ("models", "prices", "waivers", "records.redact", "finish.waivers")
"""Mappings whose keys are names that the operator chose: each counts as one value."""


def plan_digest(plan: Plan) -> str:
    """Return the sha256 of the plan's values; comments and the order of keys don't count."""
    return _sha256(plan.model_dump(mode="json"))


def key_digests(plan: Plan) -> Mapping[str, str]:
    """Return a digest of each key's value by the key, like score.margin; a key that is absent has its default."""
    return {key: _sha256(value)[:DIGITS] for key, value in _leaves(plan.model_dump(mode="json"), "")}


def _leaves(values: Mapping[str, JsonValue], above: str) -> Iterator[tuple[str, JsonValue]]:
    for name, value in values.items():
        key = f"{above}{name}"
        if isinstance(value, dict) and key not in _WHOLE:
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
