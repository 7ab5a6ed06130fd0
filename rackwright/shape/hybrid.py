"""Models in which some layers keep a state that doesn't grow: Mamba, gated delta nets, short convolutions.

Shapes of the states: vllm/model_executor/layers/mamba/mamba_utils.py (MambaStateShapeCalculator), with the names that
each model's own get_mamba_state_shape_from_config takes from its config (vLLM 0.32).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rackwright.shape.grouped import grouped
from rackwright.shape.shape import Layers, State
from rackwright.shape.source import ShapeError
from rackwright.shape.values import Values

Reader = Callable[[Values], tuple[Layers, ...]]


def of_states(count: int, state: State) -> tuple[Layers, ...]:
    return (Layers(kind="state", count=count, state=state),) if count else ()


def nothing(count: int) -> tuple[Layers, ...]:
    """Return layers that keep nothing: only experts or a plain network."""
    return (Layers(kind="none", count=count),) if count else ()


def mamba1(*, inner: int, state: int, taps: int) -> State:
    return State(channels=inner, taps=taps, recurrent=inner * state)


def mamba2(*, inner: int, groups: int, heads: int, head: int, state: int, taps: int, precision: str | None) -> State:
    return State(
        channels=inner,
        groups=groups,
        group=2 * state,
        taps=taps,
        recurrent=heads * head * state,
        precision=precision,
    )


def delta_net(*, key_heads: int, key: int, value_heads: int, value: int, taps: int, precision: str | None) -> State:
    channels = 2 * key_heads * key + value_heads * value
    return State(channels=channels, taps=taps, recurrent=value_heads * value * key, precision=precision)


def _gated_delta_net(text: Values) -> tuple[Layers, ...]:
    depth, every = text.depth("num_hidden_layers"), text.number("full_attention_interval", default=4) or 1
    listed = text.texts("layer_types")[:depth]
    full = listed.count("full_attention") if listed else depth // every
    state = delta_net(
        key_heads=text.number("linear_num_key_heads"),
        key=text.number("linear_key_head_dim"),
        value_heads=text.number("linear_num_value_heads"),
        value=text.number("linear_value_head_dim"),
        taps=text.number("linear_conv_kernel_dim") - 1,
        precision=text.text("mamba_ssm_dtype") or None,
    )
    return (*grouped(text, ["full"] * full), *of_states(depth - full, state))


def _jamba(text: Values) -> tuple[Layers, ...]:
    depth = text.depth("num_hidden_layers")
    period, offset = text.number("attn_layer_period"), text.number("attn_layer_offset")
    full = sum(layer % max(period, 1) == offset for layer in range(depth))
    state = mamba1(
        inner=text.number("mamba_expand") * text.number("hidden_size"),
        state=text.number("mamba_d_state"),
        taps=text.number("mamba_d_conv") - 1,
    )
    return (*grouped(text, ["full"] * full), *of_states(depth - full, state))


_NEMOTRON = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
_ATTENTION = ("attention", "full_attention")
_STATES = ("mamba", "mamba2", "linear_attention", "conv")


def _nemotron_h(text: Values) -> tuple[Layers, ...]:
    pattern = text.text("hybrid_override_pattern")
    kinds = tuple(_NEMOTRON.get(sign, "") for sign in pattern) or text.texts("layers_block_type")
    if not kinds or "" in kinds:
        raise ShapeError("has no hybrid_override_pattern of M, *, - and E")
    heads, head = text.number("mamba_num_heads"), text.number("mamba_head_dim")
    state = mamba2(
        inner=heads * head,
        groups=text.number("n_groups"),
        heads=heads,
        head=head,
        state=text.number("ssm_state_size"),
        taps=text.number("conv_kernel") - 1,
        precision=text.text("mamba_ssm_cache_dtype") or "float32",
    )
    key = text.maybe("attention_head_dim", "head_dim")
    return _mixed(text, kinds, state, key=key)


def _mixed(text: Values, kinds: tuple[str, ...], state: State, *, key: int | None = None) -> tuple[Layers, ...]:
    full, states = sum(kind in _ATTENTION for kind in kinds), sum(kind in _STATES for kind in kinds)
    attention = grouped(text, ["full"] * full, key=key)
    return (*attention, *of_states(states, state), *nothing(len(kinds) - full - states))


def _mamba2_state(text: Values, inner: int) -> State:
    return mamba2(
        inner=inner,
        groups=text.number("mamba_n_groups"),
        heads=text.number("mamba_n_heads"),
        head=text.number("mamba_d_head"),
        state=text.number("mamba_d_state"),
        taps=text.number("mamba_d_conv") - 1,
        precision=text.text("mamba_ssm_cache_dtype") or None,
    )


def _granite(text: Values) -> tuple[Layers, ...]:
    depth, kinds = text.depth("num_hidden_layers"), text.texts("layer_types")
    if len(kinds) != depth:
        raise ShapeError("doesn't have one layer_types entry for each layer")
    return _mixed(text, kinds, _mamba2_state(text, text.number("mamba_expand") * text.number("hidden_size")))


def _falcon_h1(text: Values) -> tuple[Layers, ...]:
    """Return the layers: each has both attention and a state."""
    depth = text.depth("num_hidden_layers")
    inner = text.maybe("mamba_d_ssm") or text.number("mamba_expand") * text.number("hidden_size")
    return (*grouped(text, ["full"] * depth), *of_states(depth, _mamba2_state(text, inner)))


def _lfm2(text: Values) -> tuple[Layers, ...]:
    depth, kinds = text.depth("num_hidden_layers"), text.texts("layer_types")
    if not kinds:
        full = set(text.numbers("full_attn_idxs"))
        kinds = tuple("full_attention" if layer in full else "conv" for layer in range(depth))
    channels = text.number("conv_dim", default=text.number("hidden_size"))
    return _mixed(text, kinds, State(channels=channels, taps=text.number("conv_L_cache") - 1))


HYBRIDS: Mapping[str, Reader] = {
    "qwen3_next": _gated_delta_net,
    "qwen3_5_text": _gated_delta_net,
    "qwen3_5_moe_text": _gated_delta_net,
    "jamba": _jamba,
    "nemotron_h": _nemotron_h,
    "granitemoehybrid": _granite,
    "falcon_h1": _falcon_h1,
    "lfm2": _lfm2,
    "lfm2_moe": _lfm2,
}
