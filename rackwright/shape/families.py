"""The layers of a transformers model, and what each keeps, by the `model_type` of its config.json.

Names and defaults are from transformers (src/transformers/models/<model_type>/configuration_*.py). If the file
doesn't list `layer_types`, the layers with a window are those of vLLM 0.32 (vllm/model_executor/models).
"""

from __future__ import annotations

from collections.abc import Callable

from rackwright.shape.grouped import grouped
from rackwright.shape.hybrid import HYBRIDS
from rackwright.shape.shape import Kind, Layers
from rackwright.shape.source import ShapeError
from rackwright.shape.values import Values

_TYPES: dict[str, Kind] = {
    "full_attention": "full",
    "global": "full",
    "attention": "full",
    "sliding_attention": "sliding",
    "local": "sliding",
    "chunked_attention": "chunked",
}
_PLAIN = frozenset(
    "llama mistral ministral ministral3 mixtral gemma granite granitemoe granitemoeshared phi3 phimoe olmo2 olmoe "
    "stablelm internlm2 glm glm4 glm4_moe cohere seed_oss ernie4_5 ernie4_5_moe nemotron apertus arcee "
    "minimax_m2".split()
)
"""Layers of one kind, with a window if the config has one; or a list of kinds."""
_SWITCHED = frozenset(
    "qwen2 qwen2_moe qwen3 qwen3_moe qwen2_vl qwen2_vl_text qwen2_5_vl qwen2_5_vl_text qwen3_vl_text "
    "qwen3_vl_moe_text smollm3".split()
)
"""The same, with a switch for the window, which is off by default."""
_EVERY = {"gemma2": 2, "gemma3_text": 6, "cohere2": 4, "gpt_oss": 2, "exaone4": 4, "olmo3": 4}
"""Every n-th layer has full attention, the others have a window."""
_LATENT = frozenset("deepseek_v2 deepseek_v3 kimi_k2 pangu_ultra_moe".split())


def layers_of(family: str, text: Values) -> tuple[Layers, ...] | None:
    """Given the `model_type` and the config of the text model, return its layers; None if the kind is unknown.

    Raise ShapeError if the config lacks a value that its kind needs.
    """
    reader = _READERS.get(family)
    return reader(text) if reader else None


def _listed(text: Values, depth: int) -> list[Kind] | None:
    """Return the kinds of its layers from the config's list; None if it has none."""
    listed = text.texts("layer_types")
    if not listed:
        return None
    if len(listed) < depth or not set(listed[:depth]) <= set(_TYPES):
        raise ShapeError("has unknown layer_types, or not one for each layer")
    return [_TYPES[kind] for kind in listed[:depth]]


def _plain(text: Values) -> tuple[Layers, ...]:
    depth = text.depth("num_hidden_layers")
    kind: Kind = "sliding" if text.maybe("sliding_window") else "full"
    return grouped(text, _listed(text, depth) or [kind] * depth)


def _switched(text: Values) -> tuple[Layers, ...]:
    depth = text.depth("num_hidden_layers")
    first = text.number("max_window_layers", default=0) if text.flag("use_sliding_window") else depth
    kinds: list[Kind] = ["sliding" if layer >= first else "full" for layer in range(depth)]
    return grouped(text, _listed(text, depth) or kinds)


def _windowed(every: int) -> Callable[[Values], tuple[Layers, ...]]:
    def read(text: Values) -> tuple[Layers, ...]:
        depth = text.depth("num_hidden_layers")
        if not text.maybe("sliding_window"):
            return grouped(text, ["full"] * depth)
        return grouped(text, _listed(text, depth) or _pattern(text, depth, every))

    return read


def _pattern(text: Values, depth: int, every: int) -> list[Kind]:
    """Return the kinds by pattern: a number, or, in EXAONE 4, a text like LLLG (local, global)."""
    if marks := text.text("sliding_window_pattern"):
        return ["full" if marks[layer % len(marks)] == "G" else "sliding" for layer in range(depth)]
    step = text.number("sliding_window_pattern", "_sliding_window_pattern", default=every) or every
    return ["full" if (layer + 1) % step == 0 else "sliding" for layer in range(depth)]


_GEMMA3 = {
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "num_hidden_layers": 26,
    "sliding_window": 4096,
    "vocab_size": 262_208,
    "max_position_embeddings": 131_072,
    "hidden_size": 2304,
    "intermediate_size": 9216,
}
DEFAULTS = {"gemma3_text": _GEMMA3}
"""Defaults of transformers for values that a published config.json omits."""


def _llama4(text: Values) -> tuple[Layers, ...]:
    """Return the layers: those without positions (one in four) see all tokens, the others a chunk."""
    depth = text.depth("num_hidden_layers")
    marked = text.numbers("no_rope_layers") or [int((layer + 1) % 4 != 0) for layer in range(depth)]
    kinds: list[Kind] = ["chunked" if mark else "full" for mark in marked[:depth]]
    if text.maybe("attention_chunk_size") is None:
        kinds = ["full"] * depth
    return grouped(text, _listed(text, depth) or kinds)


def _latent(text: Values) -> tuple[Layers, ...]:
    depth = text.depth("num_hidden_layers")
    vector = text.number("kv_lora_rank") + text.number("qk_rope_head_dim")
    return (Layers(kind="latent", count=depth, heads=1, key=vector),)


_READERS: dict[str, Callable[[Values], tuple[Layers, ...]]] = {
    **dict.fromkeys(_PLAIN, _plain),
    **dict.fromkeys(_SWITCHED, _switched),
    **{family: _windowed(every) for family, every in _EVERY.items()},
    **dict.fromkeys(_LATENT, _latent),
    **HYBRIDS,
    "llama4_text": _llama4,
}
