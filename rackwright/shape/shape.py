"""The shape of a model, as the lock keeps it."""

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
    """What a layer whose cache doesn't grow keeps of one sequence: a convolution's last inputs, a recurrent state."""

    channels: Count = 0
    """Of the convolution; they are divided by the tensor width."""
    groups: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Of Mamba 2; where the tensor width isn't a divisor, there are more of them."""
    group: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Channels of the convolution that each group adds."""
    taps: Count = 0
    """Inputs that the convolution looks back at."""
    recurrent: Count = 0
    """Numbers in the recurrent state; they are divided by the tensor width."""
    precision: str | None = None
    """Type of those numbers; None: the model's."""


class Layers(Stored):
    """Layers that keep the same of what they have read."""

    kind: Kind
    """full: keys and values of every token · sliding: of the last `window` ones · chunked: of a chunk of `window` ·
    latent: one compressed vector a token (MLA) · state: a state that doesn't grow · none: nothing."""
    count: Count
    heads: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Of keys and values; a latent is one for all."""
    key: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Numbers in one head's key; in a latent, kv_lora_rank + qk_rope_head_dim."""
    value: Annotated[Count, Field(exclude_if=_falsy)] = 0
    window: Tokens | None = None
    state: State | None = None
    """Of kind `state`."""


class Weights(Stored):
    """Bytes of the weights."""

    total: Count
    stored: Mapping[str, Count]
    """By type, as the files call it: BF16, F8_E4M3, Q4_K, …"""
    embedding: Count = 0
    """Of `total`: the table of input tokens."""
    head: Count = 0
    """Of `total`: the output layer; 0: the embedding serves as that, too."""
    grouped: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Of `total`: what makes keys and values; each GPU has at least one head of it."""
    replicated: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Of `total`: what every GPU has whole: norms, routers, projections to a latent."""


class ModelShape(Stored):
    """What decides how much memory a model needs."""

    architecture: str
    """As config.json (`model_type`) or GGUF (`general.architecture`) has it."""
    unknown: str | None = None
    """Why nobody knows how large its cache gets; None: `layers` say it."""
    weights: Weights
    layers: Annotated[tuple[Layers, ...], Field(exclude_if=_falsy)] = ()
    hidden: Count = 0
    """Numbers in one token's vector."""
    intermediate: Count = 0
    """The widest that a layer makes of it, over all experts that one token uses."""
    heads: Count = 0
    """Of attention; a tensor width divides them."""
    vocabulary: Count = 0
    context: Count | None = None
    """Tokens it was trained for, or is stretched to; None: not told."""
    used: Annotated[Count, Field(exclude_if=_falsy)] = 0
    """Experts that one token goes through."""
    type: str = "bfloat16"
    """Of the numbers that it computes with."""
    quantization: str | None = None
    """Of the weights, like fp8, awq, gptq, mxfp4; None: none."""

    @property
    def depth(self) -> int:
        """How many layers there are; those of two kinds at once count once for each."""
        return sum(layers.count for layers in self.layers)
