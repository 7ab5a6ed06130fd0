"""The requirements of one replica."""

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
"""Bytes per number: vLLM's --dtype and --kv-cache-dtype (vllm/utils/torch_utils.py), llama.cpp's --cache-type-k
and -v with the bytes of their blocks (ggml-common.h)."""


@dataclass(frozen=True)
class Room:
    """The hardware on which one replica runs."""

    memory: int
    """Bytes of one of its GPUs; without a GPU, of the host's memory that it may use."""
    gpus: int = 1
    """On each of its hosts; 0: it runs on the CPU."""

    @property
    def on_cpu(self) -> bool:
        return self.gpus == 0


ALONE = Widths()


@dataclass(frozen=True)
class Asked:
    """The settings with which one replica is to run."""

    engine: Engine
    context: int
    """Tokens per request, prompt and answer together."""
    parallel: int = 1
    """Concurrent requests."""
    whole: int | None = None
    """Number of requests that must have room for the whole `context` at the same time. None: the engine's minimum,
    which is all for llama.cpp, and one for vLLM, because it lets the others wait."""
    widths: Widths = ALONE
    share: float = 0.9
    """Share of a GPU's memory that vLLM uses."""
    cache: int | None = None
    """Bytes of cache on each GPU, if set explicitly for vLLM instead of `share`."""
    key_type: str = "auto"
    value_type: str = "auto"
    type: str = "auto"
    """Type of the numbers with which vLLM computes."""
    quantization: str | None = None
    """Quantization by vLLM while it loads the weights; None: the weights stay as they are stored."""
    batch: int | None = None
    """Tokens per batch; None: the engine's default."""
    eager: bool = False
    """Whether vLLM runs without CUDA graphs."""
    prefixes: bool = True
    """Whether vLLM keeps states of prefixes for reuse."""
    beyond: bool = False
    """Whether vLLM is set to allow contexts beyond the limit in config.json."""
    uncertain: str | None = None
    """Why these settings can't be evaluated; None: they can."""
    full_windows: bool = False
    """Whether layers with a window keep all tokens anyway: vLLM's --disable-hybrid-kv-cache-manager,
    llama.cpp's --swa-full."""

    @property
    def must_hold(self) -> int:
        """Return the number of requests that must have room for the whole context at the same time."""
        if self.whole is not None:
            return self.whole
        return self.parallel if self.engine == "llama_cpp" else 1


def number_size(type: str, default: float = 2.0) -> float:
    """Return the bytes of one number of this type; `default` for `auto` and unknown types."""
    return TYPES.get(type.lower(), default)
