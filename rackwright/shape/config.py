"""The shape of a transformers model, from its config.json and the headers of its safetensors files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from rackwright.shape.families import DEFAULTS, layers_of
from rackwright.shape.positions import longest_context
from rackwright.shape.safetensors import Tensor, parse_object
from rackwright.shape.shape import Layers, ModelShape, Weights
from rackwright.shape.source import ShapeError
from rackwright.shape.values import Values

LIMIT = 4 * 2**20
"""Most bytes of a config.json; usually it has a few kB."""

_NESTED = ("text_config", "llm_config", "language_config")
"""Keys under which a multimodal model has its language model."""
_EMBEDDING = re.compile(
    r"(^|\.)(embed_tokens|word_embeddings|tok_embeddings|wte|embed_in)\.weight$|^backbone\.embeddings\."
)
_HEAD = re.compile(r"(^|\.)(lm_head|embed_out|output)\.weight$")
_GROUPED = re.compile(r"\.(k_proj|v_proj)\.")
_REPLICATED = re.compile(r"norm|\.(q_a_proj|kv_a_proj_with_mqa|gate|router)\.")
_VISION = re.compile(r"vision|visual|audio|multi_modal_projector|mm_projector")
_LAYER = re.compile(r"(?:^|\.)layers\.(\d{1,6})\.")
_USED = ("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "top_k_experts", "moe_k")


def shape_of(config: bytes, tensors: Iterable[Tensor]) -> ModelShape:
    """Given the content of config.json and all tensors, return the shape. Raise ShapeError if the config is bad."""
    top = parse_object(config)
    text = _text_of(top)
    family = text.text("model_type") or Values(top).text("model_type")
    text = Values(DEFAULTS.get(family, {}) | dict(text.content))
    layers, unknown = _layers(family, text)
    return ModelShape(
        architecture=family or "unknown",
        unknown=unknown,
        weights=weights_of(tensor for tensor in tensors if not _left_out(tensor, text)),
        layers=layers,
        hidden=text.number("hidden_size", default=0),
        intermediate=_intermediate(text),
        heads=text.number("num_attention_heads", default=0),
        vocabulary=text.number("vocab_size", default=0),
        context=longest_context(family, text),
        used=text.number(*_USED, default=0),
        type=text.text("dtype") or text.text("torch_dtype") or "bfloat16",
        quantization=_quantization(top, text),
    )


def _text_of(top: Mapping[str, object]) -> Values:
    """Return the config of the language model, with the top-level values for keys that it doesn't set."""
    whole = Values(top)
    nested = next((found for name in _NESTED if (found := whole.within(name))), None)
    return Values(dict(top) | dict(nested.content)) if nested else whole


def _layers(family: str, text: Values) -> tuple[tuple[Layers, ...], str | None]:
    try:
        found = layers_of(family, text)
    except ShapeError as error:
        return (), f"its config.json {error}"
    if found is None:
        return (), f"rackwright doesn't know the cache layout of {family or 'a model without model_type'}"
    return found, None


def _left_out(tensor: Tensor, text: Values) -> bool:
    """Return whether the tensor is for speculative decoding, which isn't loaded with the model."""
    layer = _LAYER.search(tensor.name)
    depth = text.maybe("num_hidden_layers")
    beyond = bool(layer and depth and not _VISION.search(tensor.name) and int(layer[1]) >= depth)
    return tensor.name.startswith("mtp.") or beyond


def weights_of(tensors: Iterable[Tensor]) -> Weights:
    """Return the bytes of the weights, by what an engine does with them."""
    stored: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    for tensor in tensors:
        stored[tensor.type] += tensor.size
        if part := _part(tensor.name):
            parts[part] += tensor.size
    return Weights(total=stored.total(), stored=dict(stored), **parts)


def _part(name: str) -> str | None:
    if _VISION.search(name):
        return None
    for part, pattern in (
        ("embedding", _EMBEDDING),
        ("head", _HEAD),
        ("grouped", _GROUPED),
        ("replicated", _REPLICATED),
    ):
        if pattern.search(name):
            return part
    return None


def _intermediate(text: Values) -> int:
    """Return the width. If experts have no separate one (Mixtral, gpt-oss), `intermediate_size` is one expert's."""
    plain = text.number("intermediate_size", default=0)
    experts = text.number(*_USED, default=0) * text.number("moe_intermediate_size", default=plain)
    return max(plain, experts)


def _quantization(top: Mapping[str, object], text: Values) -> str | None:
    for found in (Values(top).within("quantization_config"), text.within("quantization_config")):
        if found and (method := found.text("quant_method")):
            return method
    return None
