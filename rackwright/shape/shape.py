"""The shape of a model, as the lock stores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from rackwright.values.base import Stored

Kind = Literal["full", "sliding", "chunked", "latent", "state", "none"]
Count = Annotated[int, Field(ge=0, le=2**53)]


def _falsy(value: object) -> bool:
    return not value


Tokens = Annotated[int, Field(ge=1, le=2**31)]


class State(Stored):
    """The cache of a layer that doesn't grow, per sequence: a convolution's last inputs, and a recurrent state."""

    channels: Count = 0
    """Channels of the convolution; divided by the tensor width."""
    groups: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Groups of Mamba 2; if the tensor width doesn't divide them, there are more."""
    group: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Channels of the convolution that each group adds."""
    taps: Count = 0
    """Inputs that the convolution looks back at."""
    recurrent: Count = 0
    """Numbers in the recurrent state; divided by the tensor width."""
    precision: str | None = None
    """Type of those numbers; None: the model's."""


class Layers(Stored):
    """Layers with the same kind and size of cache."""

    kind: Kind
    """full: keys and values of every token · sliding: of the last `window` ones · chunked: of a chunk of `window` ·
    latent: one compressed vector a token (MLA) · state: a state that doesn't grow · none: nothing."""
    count: Count
    heads: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Heads of keys and values; a latent is one for all."""
    key: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Numbers in one head's key; in a latent, kv_lora_rank + qk_rope_head_dim."""
    value: Annotated[Count, Field(exclude_if=_falsy)] = 0
    window: Tokens | None = None
    state: State | None = None
    """For kind `state`."""


class Weights(Stored):
    """Bytes of the weights."""

    total: Count
    stored: Mapping[str, Count]
    """By the files' name for the type: BF16, F8_E4M3, Q4_K, …"""
    embedding: Count = 0
    """Of `total`: the table of input tokens."""
    head: Count = 0
    """Of `total`: the output layer; 0: the embedding is also the output."""
    grouped: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Of `total`: the projections to keys and values; each GPU has at least one head of them."""
    replicated: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Of `total`: the parts that every GPU has completely: norms, routers, projections to a latent."""


class ModelShape(Stored):
    """The facts that determine how much memory a model needs."""

    architecture: str
    """From config.json (`model_type`) or GGUF (`general.architecture`)."""
    unknown: str | None = None
    """Why the size of its cache is unknown; None: it follows from `layers`."""
    weights: Weights
    layers: Annotated[tuple[Layers, ...], Field(exclude_if=_falsy)] = ()
    hidden: Count = 0
    """Numbers in one token's vector."""
    intermediate: Count = 0
    """The widest vector in a layer, over all experts that one token uses."""
    heads: Count = 0
    """Attention heads; the tensor width must divide them."""
    vocabulary: Count = 0
    context: Count | None = None
    """Tokens for which it was trained, or to which it is stretched; None: not given."""
    used: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Experts that one token uses."""
    type: str = "bfloat16"
    """Type of the numbers with which it computes."""
    quantization: str | None = None
    """Quantization of the weights, like fp8, awq, gptq, mxfp4; None: none."""

    @property
    def depth(self) -> int:
        """Return the number of layers; a layer of two kinds at once counts twice."""
        return sum(layers.count for layers in self.layers)
