"""Attention layers in which several heads share keys and values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rackwright.shape.shape import Kind, Layers
from rackwright.shape.source import ShapeError
from rackwright.shape.values import Values


def head_dimension(text: Values) -> int:
    if given := text.maybe("head_dim"):
        return given
    heads = text.number("num_attention_heads")
    if heads == 0:
        raise ShapeError("has no attention heads")
    return text.number("hidden_size") // heads


def grouped(
    text: Values, kinds: Sequence[Kind], *, key: int | None = None, heads: int | None = None
) -> tuple[Layers, ...]:
    """Return the layers of these kinds, each with the same heads."""
    dimension = key or head_dimension(text)
    many = heads or text.number("num_key_value_heads", "num_kv_heads", default=text.number("num_attention_heads"))
    windows = {"sliding": text.maybe("sliding_window") or None, "chunked": text.maybe("attention_chunk_size") or None}
    return tuple(
        Layers(kind=kind, count=count, heads=many, key=dimension, value=dimension, window=windows.get(kind))
        for kind, count in Counter(kinds).items()
    )
