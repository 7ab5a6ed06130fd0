"""The shape of a model, from GGUF metadata and tensors.

Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; later keys, and the layers with a window if the
file doesn't list them, are those of llama.cpp b10434 (src/llama-arch.cpp, src/models/*.cpp).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from rackwright.shape.gguf import Gguf
from rackwright.shape.hybrid import delta_net, mamba1, mamba2, nothing, of_states
from rackwright.shape.safetensors import Tensor
from rackwright.shape.shape import Kind, Layers, ModelShape, State, Weights
from rackwright.shape.source import ShapeError
from rackwright.shape.values import Values

_PLAIN = frozenset(
    "llama qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3vl qwen3vlmoe gemma phi3 starcoder2 stablelm internlm2 "
    "command-r olmo olmoe granite granitemoe smollm3 glm4 glm4moe ernie4_5 ernie4_5-moe seed_oss apertus arcee "
    "mistral3 minimax-m2 nemotron".split()
)
"""All layers see all tokens: llama.cpp reads no window for these models."""
_EVERY = {"gemma2": 2, "gemma3": 6, "cohere2": 4, "gpt-oss": 2, "exaone4": 4, "olmo2": 4}
"""Every n-th layer has full attention; the others have a window if the file has one: Olmo 3 is an olmo2 with one."""
_LATENT = frozenset(("deepseek2",))
_SPECULATIVE = "nextn_predict_layers"
_LAYER = re.compile(r"blk\.(\d{1,6})\.")


def shape_of_gguf(parts: Sequence[Gguf]) -> ModelShape:
    """Given the headers of all parts of one model, in their order, return its shape.

    Raise ShapeError if the first one has no architecture.
    """
    metadata = parts[0].metadata
    family = Values(metadata).text("general.architecture")
    if not family:
        raise ShapeError("has no general.architecture")
    values = Values(metadata, prefix=f"{family}.")
    layers, unknown = _layers(family, values)
    tensors = [tensor for part in parts for tensor in part.tensors if not _left_out(tensor, values)]
    weights = _weights(tensors)
    return ModelShape(
        architecture=family,
        unknown=unknown,
        weights=weights,
        layers=layers,
        hidden=values.number("embedding_length", default=0),
        intermediate=max((*values.numbers("feed_forward_length"), _scalar(values, "feed_forward_length"))),
        heads=max((*values.numbers("attention.head_count"), _scalar(values, "attention.head_count"))),
        vocabulary=_vocabulary(values, parts[0].lengths),
        context=values.maybe("context_length"),
        used=values.number("expert_used_count", default=0),
        type="float16",
        quantization=_quantization(weights),
    )


def _scalar(values: Values, name: str) -> int:
    return 0 if values.numbers(name) else values.number(name, default=0)


def _vocabulary(values: Values, lengths: Mapping[str, int]) -> int:
    return lengths.get("tokenizer.ggml.tokens") or values.number("vocab_size", default=0)


def _weights(tensors: Sequence[Tensor]) -> Weights:
    stored: Counter[str] = Counter()
    sizes = {"token_embd.weight": 0, "output.weight": 0}
    for tensor in tensors:
        stored[tensor.type] += tensor.size
        if tensor.name in sizes:
            sizes[tensor.name] += tensor.size
    embedding, head = sizes.values()
    return Weights(total=stored.total(), stored=dict(stored), embedding=embedding, head=head)


def _quantization(weights: Weights) -> str | None:
    """Return the type of most of the bytes, unless it is an unquantized one."""
    most = max(weights.stored, key=lambda kind: weights.stored[kind], default="F16")
    return None if most in ("F16", "BF16", "F32") else most


def _layers(family: str, values: Values) -> tuple[tuple[Layers, ...], str | None]:
    reader = _READERS.get(family)
    if reader is None:
        return (), f"rackwright doesn't know the cache layout of {family}"
    try:
        return reader(values), None
    except ShapeError as error:
        return (), f"its metadata {error}"


def _depth(values: Values) -> int:
    """Return the number of layers, without those for speculative decoding, which come last (GLM 4.5)."""
    depth = values.depth("block_count") - values.number(_SPECULATIVE, default=0)
    if depth <= 0:
        raise ShapeError(f"has no layers other than the {_SPECULATIVE}")
    return depth


def _left_out(tensor: Tensor, values: Values) -> bool:
    """Return whether the tensor is for speculative decoding, which isn't loaded (TENSOR_SKIP)."""
    layer = _LAYER.match(tensor.name)
    depth, speculative = values.maybe("block_count"), values.maybe(_SPECULATIVE)
    return bool(layer and depth and speculative and int(layer[1]) >= depth - speculative)


def _each(values: Values, name: str, depth: int, *, default: int | None = None) -> tuple[int, ...]:
    """Return one number for each layer, from a list or from one number for all."""
    listed = values.numbers(name)
    if listed:
        if len(listed) < depth:
            raise ShapeError(f"has {name} for {len(listed)} of {depth} layers")
        return listed[:depth]
    return (values.number(name, default=default),) * depth


def _attention(values: Values, kinds: Sequence[Kind | None]) -> tuple[Layers, ...]:
    """Return layers of these kinds, each with its own heads; None is a layer without attention."""
    heads = _each(values, "attention.head_count", len(kinds))
    grouped = _each(values, "attention.head_count_kv", len(kinds), default=max(heads))
    dimension = values.number("embedding_length") // max(max(heads), 1)
    key = values.number("attention.key_length", default=dimension)
    value = values.number("attention.value_length", default=dimension)
    window = values.maybe("attention.sliding_window") or None
    found = Counter((kind, many) for kind, many in zip(kinds, grouped, strict=True) if kind)
    return tuple(
        Layers(kind=kind, count=count, heads=many, key=key, value=value, window=None if kind == "full" else window)
        for (kind, many), count in found.items()
        if kind
    )


def _plain(values: Values) -> tuple[Layers, ...]:
    return _attention(values, ["full"] * _depth(values))


def _windowed(every: int) -> Callable[[Values], tuple[Layers, ...]]:
    def read(values: Values) -> tuple[Layers, ...]:
        depth = _depth(values)
        if not values.maybe("attention.sliding_window"):
            return _attention(values, ["full"] * depth)
        marks = values.numbers("attention.sliding_window_pattern")[:depth]
        if len(marks) != depth:
            step = values.number("attention.sliding_window_pattern", default=every) if not marks else every
            marks = tuple(int(layer % max(step, 1) < step - 1) for layer in range(depth))
        return _attention(values, ["sliding" if mark else "full" for mark in marks])

    return read


def _latent(values: Values) -> tuple[Layers, ...]:
    """Return the layers. Files since April 2025 have one compressed key; older ones, every head's keys and values."""
    depth = _depth(values)
    if values.maybe("attention.key_length_mla") is None:
        return _attention(values, ["full"] * depth)
    return (Layers(kind="latent", count=depth, heads=1, key=values.number("attention.key_length")),)


def _ssm2(values: Values) -> State:
    inner, state = values.number("ssm.inner_size"), values.number("ssm.state_size")
    heads = values.number("ssm.time_step_rank")
    return mamba2(
        inner=inner,
        groups=values.number("ssm.group_count"),
        heads=heads,
        head=inner // max(heads, 1),
        state=state,
        taps=values.number("ssm.conv_kernel") - 1,
        precision="float32",
    )


def _ssm1(values: Values) -> State:
    inner = values.number("ssm.inner_size")
    found = mamba1(inner=inner, state=values.number("ssm.state_size"), taps=values.number("ssm.conv_kernel") - 1)
    return found.model_copy(update={"precision": "float32"})


def _mixed(state: Callable[[Values], State]) -> Callable[[Values], tuple[Layers, ...]]:
    """Return a reader. Layers with key heads have attention; of the others, those without a network have a state."""

    def read(values: Values) -> tuple[Layers, ...]:
        depth = _depth(values)
        grouped = _each(values, "attention.head_count_kv", depth)
        network = _each(values, "feed_forward_length", depth, default=0)
        # Only Nemotron-H has layers with just a network.
        apart = len(set(network)) > 1
        states = sum(not many and not (apart and width) for many, width in zip(grouped, network, strict=True))
        full = sum(map(bool, grouped))
        attention = _attention(values, ["full" if many else None for many in grouped])
        return (*attention, *of_states(states, state(values)), *nothing(depth - full - states))

    return read


def _falcon_h1(values: Values) -> tuple[Layers, ...]:
    depth = _depth(values)
    return (*_attention(values, ["full"] * depth), *of_states(depth, _ssm2(values)))


def _delta_net(values: Values) -> tuple[Layers, ...]:
    depth, every = _depth(values), values.number("full_attention_interval", default=4) or 1
    kinds: list[Kind | None] = [None if (layer + 1) % every else "full" for layer in range(depth)]
    inner, heads = values.number("ssm.inner_size"), values.number("ssm.time_step_rank")
    state = delta_net(
        key_heads=values.number("ssm.group_count"),
        key=values.number("ssm.state_size"),
        value_heads=heads,
        value=inner // max(heads, 1),
        taps=values.number("ssm.conv_kernel") - 1,
        precision="float32",
    )
    return (*_attention(values, kinds), *of_states(kinds.count(None), state))


def _short(values: Values) -> State:
    taps = values.number("shortconv.l_cache") - 1
    return State(channels=values.number("embedding_length"), taps=taps, precision="float32")


_READERS: Mapping[str, Callable[[Values], tuple[Layers, ...]]] = {
    **dict.fromkeys(_PLAIN, _plain),
    **{family: _windowed(every) for family, every in _EVERY.items()},
    **dict.fromkeys(_LATENT, _latent),
    "jamba": _mixed(_ssm1),
    "nemotron_h": _mixed(_ssm2),
    "granitehybrid": _mixed(_ssm2),
    "lfm2": _mixed(_short),
    "falcon-h1": _falcon_h1,
    "qwen3next": _delta_net,
}
