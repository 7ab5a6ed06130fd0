"""Bytes of the weights on the GPU with the most."""

from __future__ import annotations

from rackwright.fit.demand import Asked, Room, number_size
from rackwright.shape.shape import ModelShape, Weights

_WIDE = ("F64", "F32")
_PLAIN = ("F64", "F32", "F16", "BF16")
_QUANTIZED = {"fp8": 1.0, "fbgemm_fp8": 1.0, "bitsandbytes": 0.53, "int8": 1.0, "experts_int8": 1.0, "mxfp8": 1.03}
"""vLLM's quantization while it loads weights → bytes per number; 4-bit blocks of 64, each with a scale, take 0.53
(https://arxiv.org/abs/2305.14314, section 3)."""


def weights_per_gpu(shape: ModelShape, asked: Asked, room: Room) -> int:
    """Return the bytes of weights on the GPU (or in the memory of the host) with the most."""
    if asked.engine == "llama_cpp":
        return _llama_cpp(shape, room)
    return _vllm(shape, asked)


def _llama_cpp(shape: ModelShape, room: Room) -> int:
    """With `-ngl 999`, all layers and the output are on GPUs, with whole layers on each. The table of input tokens
    stays on the host; if it is also the output, the GPU has a copy (src/llama-model.cpp, load_tensors)."""
    weights = shape.weights
    if room.on_cpu:
        return weights.total
    output = weights.head or weights.embedding
    layers = weights.total - weights.embedding - weights.head
    return _stage(layers, shape.depth, room.gpus) + output


def _vllm(shape: ModelShape, asked: Asked) -> int:
    """The tensor width divides vocabulary, attention and networks, but not norms and routers. Each GPU has keys and
    values of at least one head (vllm/model_executor/layers/linear.py: QKVParallelLinear).
    The first stage of a pipeline has the embedding, the last the output."""
    loaded, tensor, stages = _loaded(shape, asked), asked.widths.tensor, asked.widths.pipeline
    ends = loaded.embedding + loaded.head
    heads = max((layers.heads for layers in shape.layers if layers.kind != "latent"), default=0)
    grouped = loaded.grouped / min(tensor, heads or tensor)
    cut = (loaded.total - ends - loaded.grouped - loaded.replicated) / tensor
    layers = round(cut + grouped + loaded.replicated)
    if stages == 1:
        return layers + -(-ends // tensor)
    return _stage(layers, shape.depth, stages) + -(-max(loaded.embedding, loaded.head) // tensor)


def _stage(size: int, depth: int, stages: int) -> int:
    """Return the largest stage if whole layers are divided into this number of stages."""
    if not depth:
        return -(-size // stages)
    return -(-size * -(-depth // min(stages, depth)) // depth)


def _loaded(shape: ModelShape, asked: Asked) -> Weights:
    """Return the weights as vLLM loads them: wide numbers are converted to the type with which it computes, and
    `--quantization` makes all except the vocabulary smaller."""
    weights = shape.weights
    wide = sum(weights.stored.get(kind, 0) for kind in _WIDE)
    narrowed = 1.0
    if weights.total and wide > weights.total / 2:
        narrowed = number_size(asked.type) / 4.0
    factor = narrowed * _made_smaller(shape, asked)
    ends = weights.embedding + weights.head
    return Weights(
        total=round((weights.total - ends) * factor) + round(ends * narrowed),
        stored={},
        embedding=round(weights.embedding * narrowed),
        head=round(weights.head * narrowed),
        grouped=round(weights.grouped * factor),
        replicated=round(weights.replicated * factor),
    )


def _made_smaller(shape: ModelShape, asked: Asked) -> float:
    size = _QUANTIZED.get(asked.quantization or "")
    if size is None or shape.quantization:
        return 1.0
    weights = shape.weights
    plain = sum(weights.stored.get(kind, 0) for kind in _PLAIN)
    if plain < weights.total / 2:
        return 1.0
    return min(1.0, size / number_size(asked.type))
