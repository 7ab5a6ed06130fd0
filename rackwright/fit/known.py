"""Shapes of well-known models in common precisions, and which of them a host can serve."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from rackwright.fit.demand import Asked, Room
from rackwright.fit.fit import Fit
from rackwright.fit.published import PUBLISHED, Published
from rackwright.launch import Widths
from rackwright.shape.config import shape_of
from rackwright.shape.safetensors import Tensor
from rackwright.shape.shape import ModelShape

CONTEXT = 8192
"""Tokens for which one request must have room, for the model to count as served."""
PARALLEL = 64
_BITS = {"bf16": 16.0, "fp8": 8.0, "4-bit": 4.15625}
"""Bits per parameter, except the vocabulary, which stays in 16 bits; 4-bit: AWQ or GPTQ in groups of 128, each with
a scale of 16 bits and a zero point of 4."""
Q4_K_M = 4.85
"""Average bits per parameter of a GGUF file with that name (llama.cpp, tools/quantize/README.md: 4.89 for Llama 3.1
8B, 4.83 for 70B)."""


@dataclass(frozen=True)
class Known:
    name: str
    precision: str
    shape: ModelShape


@dataclass(frozen=True)
class Served:
    """A model that a host can serve."""

    name: str
    precision: str
    gpus: int
    """The fewest that it needs; 0: it runs on the CPU."""
    context: int
    """The largest context of one request with these GPUs."""
    requests: int
    """Requests of 8192 tokens that have room at the same time."""


@cache
def known_models() -> tuple[Known, ...]:
    """Return each well-known model in each precision, smaller models and wider precisions first."""
    return tuple(
        Known(one.name, precision, _shape(one, bits))
        for one in PUBLISHED
        for precision, bits in _BITS.items()
        if bits <= _BITS[one.precision]
    )


def served_by(memory: int | None, gpus: int, ram: int) -> tuple[Served, ...]:
    """Return the models that a host can serve: with `gpus` GPUs of `memory` bytes, or else with llama.cpp in RAM."""
    if gpus and memory:
        found = (_on_gpus(one, memory, gpus) for one in known_models())
    else:
        found = (_on_cpu(one, ram) for one in PUBLISHED)
    return tuple(one for one in found if one)


def _on_gpus(one: Known, memory: int, gpus: int) -> Served | None:
    for width in _widths(gpus):
        asked = Asked("vllm", context=CONTEXT, parallel=PARALLEL, widths=Widths(tensor=width))
        if found := _served(one.name, one.precision, Fit(one.shape, asked, Room(memory, width))):
            return found
    return None


def _widths(gpus: int) -> Iterator[int]:
    width = 1
    while width <= gpus:
        yield width
        width *= 2


def _on_cpu(one: Published, ram: int) -> Served | None:
    shape = _gguf(one)
    return _served(one.name, "Q4_K_M", Fit(shape, Asked("llama_cpp", context=CONTEXT), Room(ram, 0)))


def _served(name: str, precision: str, fit: Fit) -> Served | None:
    if not fit.fits:
        return None
    return Served(name, precision, fit.room.gpus, fit.longest or 0, fit.requests or 0)


def _shape(one: Published, bits: float) -> ModelShape:
    config = dict(one.config)
    if bits < 16:
        config["quantization_config"] = config.get("quantization_config", {"quant_method": "compressed-tensors"})
    return shape_of(json.dumps(config).encode(), _tensors(one, bits))


def _gguf(one: Published) -> ModelShape:
    """Return the same model as a GGUF file, for llama.cpp."""
    size = round(one.parameters * Q4_K_M / 8)
    whole = (Tensor("model.layers.0.mlp.weight", "Q4_K", size),)
    return shape_of(json.dumps(dict(one.config)).encode(), whole)


def _tensors(one: Published, bits: float) -> tuple[Tensor, ...]:
    """Return tensors with names like the model's own, so that their bytes are counted in the same way."""
    plain = shape_of(json.dumps(dict(one.config)).encode(), ())
    table = plain.vocabulary * plain.hidden
    grouped = sum(each.count * plain.hidden * each.heads * (each.key + each.value) for each in plain.layers)
    latent = sum(each.count * plain.hidden * each.key for each in plain.layers if each.kind == "latent")
    tied = one.config.get("tie_word_embeddings") is True
    parts = {"model.layers.0.self_attn.k_proj.weight": 0 if latent else grouped}
    parts["model.layers.0.self_attn.kv_a_proj_with_mqa.weight"] = latent
    rest = one.parameters - table * (1 if tied else 2) - sum(parts.values())
    parts["model.layers.0.mlp.weight"] = rest
    size = _bytes(one, bits, table * (1 if tied else 2) * 2)
    ends = {"model.embed_tokens.weight": table} | ({} if tied else {"lm_head.weight": table})
    return (
        *(Tensor(name, "BF16", 2 * count) for name, count in ends.items()),
        *(Tensor(name, "BF16" if bits == 16 else "packed", round(count * size)) for name, count in parts.items()),
    )


def _bytes(one: Published, bits: float, ends: int) -> float:
    """Return the bytes per parameter, except the vocabulary; for a published checkpoint, from its size."""
    if one.checkpoint is None or bits != _BITS[one.precision]:
        return bits / 8
    return (one.checkpoint - ends) / (one.parameters - ends // 2)
