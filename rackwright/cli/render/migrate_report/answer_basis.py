"""What the lengths of answers are based on, in words."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.migrate.capacity.lengths import ANSWER, Basis

_WORDS: Mapping[Basis, str] = {
    "counted": "counted by the provider",
    "mean": "taken as the mean of the model's answers in the replay, or the request's limit if that is lower",
    "limit": "taken as the request's limit, because the replay has no answer of the model",
    "assumed": f"assumed to have {ANSWER} tokens, because the replay has no answer of the model",
}


def answer_basis(found: Mapping[Basis, int]) -> str:
    """Return how many lengths are based on what; "": there are none."""
    parts = (f"{found[basis]:,} {words}" for basis, words in _WORDS.items() if found.get(basis))
    return "; ".join(parts)
