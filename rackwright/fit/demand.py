"""What is asked of one replica."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rackwright.launch import Widths

Engine = Literal["vllm", "llama_cpp"]

TYPES = {
    "float64": 8.0,
    "float32": 4.0,
    "float": 4.0,
    "float16": 2.0,
    "half": 2.0,
    "bfloat16": 2.0,
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "fp8": 1.0,
    "fp8_e4m3": 1.0,
    "fp8_e5m2": 1.0,
    "fp8_inc": 1.0,
    "int8": 1.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
}
"""Bytes a number takes: vLLM's --dtype and --kv-cache-dtype (vllm/utils/torch_utils.py), llama.cpp's --cache-type-k
and -v with the bytes of their blocks (ggml-common.h)."""


@dataclass(frozen=True)
class Room:
    """Where one replica runs."""

    memory: int
    """Bytes of one of its GPUs; of the host's memory that it may take, where it has none."""
    gpus: int = 1
    """On each of its hosts; 0: it runs on the processor."""

    @property
    def on_cpu(self) -> bool:
        return self.gpus == 0


ALONE = Widths()


@dataclass(frozen=True)
class Asked:
    """How one replica is to run."""

    engine: Engine
    context: int
    """Tokens of one request, prompt and answer together."""
    parallel: int = 1
    """Requests at a time."""
    whole: int | None = None
    """How many of them must have room for all of `context` at the same time. None: what the engine insists on; for
    llama.cpp all, for vLLM one: it lets the others wait."""
    widths: Widths = ALONE
    share: float = 0.9
    """Of a GPU's memory that vLLM takes."""
    cache: int | None = None
    """Bytes of cache on each GPU, said outright to vLLM instead."""
    key_type: str = "auto"
    value_type: str = "auto"
    type: str = "auto"
    """Of what vLLM computes with."""
    quantization: str | None = None
    """That vLLM makes of the weights as it loads them; None: they are as they are stored."""
    batch: int | None = None
    """Tokens that go through the model at once; None: the engine's own choice."""
    eager: bool = False
    """vLLM without CUDA graphs."""
    prefixes: bool = True
    """Whether vLLM keeps states of prefixes for reuse."""
    beyond: bool = False
    """Whether vLLM was told to take contexts beyond what config.json allows."""
    uncertain: str | None = None
    """Why these settings aren't understood here well enough to tell; None: they are."""
    full_windows: bool = False
    """Whether layers with a window keep all tokens nevertheless: vLLM's --disable-hybrid-kv-cache-manager,
    llama.cpp's --swa-full."""

    @property
    def must_hold(self) -> int:
        """Requests that must have room for the whole context at the same time."""
        if self.whole is not None:
            return self.whole
        return self.parallel if self.engine == "llama_cpp" else 1


def number_size(type: str, default: float = 2.0) -> float:
    """Return the bytes that one number of this type takes; `auto` and what isn't known take `otherwise`."""
    return TYPES.get(type.lower(), default)
