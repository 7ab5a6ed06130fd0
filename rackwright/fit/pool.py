"""vLLM's cache: a pool of equal blocks, from which groups of layers take as many as their kind needs.

vLLM 0.32: vllm/v1/kv_cache_interface.py (what a layer takes), vllm/v1/core/kv_cache_utils.py (get_kv_cache_groups,
get_max_concurrency_for_kv_cache_config), vllm/platforms/interface.py (_align_hybrid_block_size). The layers
of each kind are assumed to be evenly distributed over a pipeline's stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rackwright.fit.demand import Asked, Room, number_size
from rackwright.shape.shape import Layers, ModelShape, State

GIB = 2**30
_CPU_BLOCK = 128
_GPU_BLOCK = 16
_LATENT_BLOCK = 64
"""Tokens per block: the defaults of the attention backends for CPUs, for GPUs, and for latents (FlashMLA)."""
_LATENT_WITH_STATES = 128


@dataclass(frozen=True)
class Group:
    """Layers that allocate their blocks together."""

    layers: int
    page: int
    """Bytes of a block of one layer."""
    block: int
    """Tokens per block; 0: it contains a state."""
    kind: str
    window: int = 0
    states: int = 0
    """Blocks with a state per sequence."""

    def blocks(self, context: int, in_flight: int) -> int:
        """Return the most blocks that a sequence of `context` tokens uses."""
        if self.kind == "state":
            return self.states
        if self.kind == "sliding":
            return -(-min(self.window - 1 + in_flight, context) // self.block) + 1
        tokens = min(self.window + in_flight, context) if self.kind == "chunked" else context
        return -(-tokens // self.block)


@dataclass(frozen=True)
class Pool:
    """The cache of one GPU."""

    groups: tuple[Group, ...]
    block: int
    """Bytes of a block, for all layers of a group together."""
    in_flight: int
    """Tokens in flight that may exceed a window."""

    def need(self, context: int, sequences: int) -> int:
        """Return the most bytes that this number of sequences of `context` tokens uses."""
        return self.block * sequences * sum(group.blocks(context, self.in_flight) for group in self.groups)

    def sequences(self, context: int, room: int) -> float:
        """Return how many sequences of `context` tokens fit in `room` bytes."""
        each = sum(group.blocks(context, self.in_flight) for group in self.groups)
        return (room // self.block) / each if each else float("inf")


def pool_of(shape: ModelShape, asked: Asked, room: Room) -> Pool | None:
    """Return the cache of one GPU; None if the model keeps nothing."""
    base = tuple(_group(layers, asked, room) for layers in shape.layers if layers.kind != "none" and layers.count)
    if not base:
        return None
    groups = _dealt(_alike(_aligned(_joined(base))))
    return Pool(groups, max(group.layers * group.page for group in groups), _in_flight(asked, room))


def batch_of(asked: Asked, room: Room) -> int:
    """Return the tokens per batch (vllm/engine/arg_utils.py, get_batch_defaults)."""
    if asked.batch is not None:
        return asked.batch
    if room.on_cpu:
        return 2048 * asked.widths.tensor * asked.widths.pipeline
    return 16384 if room.memory >= 160 * GIB else 8192 if room.memory >= 70 * GIB else 2048


def _in_flight(asked: Asked, room: Room) -> int:
    """On GPUs, two batches overlap, plus one for each further pipeline stage (VllmConfig.max_concurrent_batches)."""
    stages = asked.widths.pipeline
    return batch_of(asked, room) * (stages if room.on_cpu else stages + 1)


def _group(layers: Layers, asked: Asked, room: Room) -> Group:
    count = -(-layers.count // asked.widths.pipeline)
    if layers.state:
        size = state_size(layers.state, asked, room)
        return Group(count, size, 0, "state", states=_states(layers.state, asked))
    block = _CPU_BLOCK if room.on_cpu else _LATENT_BLOCK if layers.kind == "latent" else _GPU_BLOCK
    windowed = layers.window is not None and not asked.full_windows
    kind = "full" if layers.kind in ("sliding", "chunked") and not windowed else layers.kind
    page = token_size(layers, asked) * block
    return Group(count, page, block, kind, window=layers.window or 0 if windowed else 0)


def token_size(layers: Layers, asked: Asked) -> int:
    """Return the bytes that one layer keeps per token on one GPU.

    If the width exceeds the number of heads, each GPU has one head, and several have the same one. Every GPU has the
    whole latent.
    """
    number = number_size(asked.key_type, default=number_size(asked.type))
    if layers.kind == "latent":
        return round(layers.key * number)
    return round(max(1, layers.heads // asked.widths.tensor) * (layers.key + layers.value) * number)


def state_size(state: State, asked: Asked, room: Room) -> int:
    """Return the bytes of one layer's state on one GPU. On CPUs, the recurrent part has 32 bits."""
    tensor, number = asked.widths.tensor, number_size(asked.type)
    groups = state.groups if state.groups % tensor == 0 else tensor
    channels = (state.channels + groups * state.group) // tensor
    precision = "float32" if room.on_cpu else state.precision or asked.type
    return round(channels * state.taps * number + state.recurrent // tensor * number_size(precision))


def _states(state: State, asked: Asked) -> int:
    """Return 1, plus 1 to resume from if prefixes are cached; Mamba 2 writes a third in a prompt (MambaSpec)."""
    if not asked.prefixes:
        return 1
    return 3 if state.groups else 2


def _joined(groups: Sequence[Group]) -> tuple[Group, ...]:
    """Join layers with the same needs into one group."""
    counts: dict[Group, int] = {}
    for group in groups:
        one = replace(group, layers=1)
        counts[one] = counts.get(one, 0) + group.layers
    return tuple(replace(group, layers=count) for group, count in counts.items())


def _aligned(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """If there are states, lengthen attention blocks until they are as large as a state, and pad the states."""
    largest = max((group.page for group in groups if group.kind == "state"), default=0)
    attention = next((group for group in groups if group.kind != "state"), None)
    if not largest or attention is None:
        return groups
    token = attention.page // attention.block
    step = max(attention.block, _LATENT_WITH_STATES if attention.kind == "latent" else 0)
    block = step * -(-largest // (step * token))
    return tuple(
        replace(group, page=block * token)
        if group.kind == "state"
        else replace(group, block=block, page=group.page // group.block * block)
        for group in groups
    )


def _alike(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """If groups have several kinds, enlarge all pages to the largest one: by longer blocks, or else by padding."""
    if _of_one_kind(groups):
        return groups
    largest = max(group.page for group in groups)
    return tuple(
        replace(group, page=largest, block=group.block * (largest // group.page))
        if largest % group.page == 0
        else replace(group, page=largest)
        for group in groups
    )


def _of_one_kind(groups: Sequence[Group]) -> bool:
    return len({(group.kind, group.window) for group in groups}) == 1


def _dealt(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """Split groups to the same number of layers: the smallest kind's, or the largest's if it isn't much more."""
    if len(groups) == 1:
        return groups
    if _of_one_kind(groups):
        # Blocks of one group contain pages of several sizes.
        whole = sum(group.layers * group.page for group in groups)
        return (replace(groups[0], layers=1, page=whole),)
    fewest, most = min(group.layers for group in groups), max(group.layers for group in groups)
    size = most if most < fewest * 1.5 else fewest
    return tuple(replace(group, layers=size) for group in groups for _ in range(-(-group.layers // size)))
