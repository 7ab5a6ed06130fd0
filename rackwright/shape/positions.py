"""The longest context that a config.json allows.

As vLLM derives it (vllm/config/model.py, _get_and_verify_max_len); vLLM doesn't start with a longer one.
"""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.shape.values import Values

_STRETCHED = ("su", "longrope", "llama3")
"""Kinds of RoPE scaling for which `max_position_embeddings` already is the stretched length."""
_LARGEST = 1024


def longest_context(family: str, text: Values) -> int | None:
    """Return the number of tokens; None if the config doesn't have it.

    Cohere uses `model_max_length` for it. Gemma 3 has a factor that its length already includes.
    """
    trained = text.maybe("model_max_length", "max_position_embeddings")
    if trained is None or family.startswith("gemma3"):
        return trained
    return max(trained, *(_stretched(rope, trained) for rope in _scalings(text)))


def _scalings(text: Values) -> Iterator[Values]:
    """Yield one scaling, or one for each kind of layer."""
    scaling = text.within("rope_parameters") or text.within("rope_scaling") or Values({})
    yield scaling
    yield from (each for name in scaling.content if (each := scaling.within(name)))


def _stretched(rope: Values, trained: int) -> int:
    kind, factor = rope.text("rope_type") or rope.text("type"), rope.content.get("factor")
    if kind in _STRETCHED or not isinstance(factor, int | float) or not 1 <= factor <= _LARGEST:
        return trained
    base = rope.number("original_max_position_embeddings", default=trained) if kind == "yarn" else trained
    return int(base * factor)
