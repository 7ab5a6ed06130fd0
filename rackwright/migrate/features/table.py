"""Every feature by its name."""

from __future__ import annotations

from rackwright.migrate.features.chat_table import CHAT_FEATURES, IGNORED_BY_BOTH
from rackwright.migrate.features.kinds import Feature, Probe
from rackwright.migrate.features.other_tables import COMPLETION_FEATURES, EMBEDDING_FEATURES, RESPONSE_FEATURES

FEATURES = {one.name: one for one in (*CHAT_FEATURES, *COMPLETION_FEATURES, *EMBEDDING_FEATURES, *RESPONSE_FEATURES)}
UNKNOWN = "unknown."
"""The beginning of the name of a feature that is a field which rackwright doesn't know."""
CONTEXT = "context"
"""The waiver for requests that are longer than the fleet's model takes."""
MAX_REQUEST = "max_request"
"""The waiver for requests that are larger than the gateways take."""


def feature(name: str) -> Feature:
    """Return the feature; for `unknown.FIELD`, one that both runtimes ignore."""
    known = FEATURES.get(name)
    if known is None:
        return Feature(name, "A field that rackwright doesn't know.", None, IGNORED_BY_BOTH)
    return known


def waivable() -> tuple[str, ...]:
    """Return what a waiver may name, apart from `unknown.FIELD`."""
    return (CONTEXT, MAX_REQUEST, *FEATURES)


def probe(name: str) -> Probe | None:
    """Return how to find out what a target does with it; None: no single answer shows that."""
    return feature(name).probe
