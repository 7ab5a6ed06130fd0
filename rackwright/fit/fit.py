"""Whether one replica of a model fits, with all figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from rackwright.fit import cells
from rackwright.fit.demand import Asked, Room
from rackwright.fit.overhead import overhead
from rackwright.fit.pool import Pool, pool_of, token_size
from rackwright.fit.weights import weights_per_gpu
from rackwright.shape.shape import Layers, ModelShape

LONGEST = 16_777_216
"""Tokens; the largest context that a fleet file can ask for."""
SHORTEST = 128
STEP = 256
MOST = 65_536
"""Concurrent requests; larger numbers are reported as this one."""


@dataclass(frozen=True)
class Fit:
    """Bytes are those of the GPU that needs the most, or of the host's memory if there is no GPU."""

    shape: ModelShape
    asked: Asked
    room: Room

    @cached_property
    def budget(self) -> int:
        """Return the bytes that the engine may use: for vLLM its share, unless its cache is set explicitly."""
        if self.asked.engine == "vllm" and self.asked.cache is None:
            return int(self.room.memory * self.asked.share)
        return self.room.memory

    @cached_property
    def weights(self) -> int:
        return weights_per_gpu(self.shape, self.asked, self.room)

    @cached_property
    def overhead(self) -> int:
        """Return an estimate; see `overhead.py`."""
        return overhead(self.shape, self.asked, self.room)

    @property
    def unknown(self) -> str | None:
        """Return why it is unknown whether it fits; None if it is known."""
        return self.shape.unknown or self.asked.uncertain

    @property
    def cache_room(self) -> int:
        """Return the bytes left for the cache; negative if weights and overhead alone are too large."""
        left = self.budget - self.weights - self.overhead
        return min(left, self.asked.cache) if self.asked.cache is not None else left

    @cached_property
    def cache(self) -> int | None:
        """Return the bytes of cache that the requested context needs; None if unknown."""
        return self.need(self.asked.context, self.asked.must_hold)

    @property
    def left(self) -> int | None:
        """Return the bytes of the budget that stay free; negative if bytes are missing."""
        return None if self.cache is None else self.cache_room - self.cache

    @property
    def taken(self) -> int:
        """Return the bytes that it uses in total, as far as they are known."""
        cache = self.cache or 0
        return self.weights + self.overhead + (cache if self.asked.cache is None else max(cache, self.asked.cache))

    @property
    def refused(self) -> str | None:
        """Return why the engine can't run like this with any amount of memory; None if no reason is known."""
        return self._too_long or self._uneven

    @property
    def _too_long(self) -> str | None:
        """Return why the context is too long. llama.cpp starts anyway, with the trained context for each request."""
        longest, asked = self.shape.context, self.asked
        if asked.engine == "llama_cpp" or asked.beyond or not longest or asked.context <= longest:
            return None
        return f"its config.json allows {longest} tokens at most, and context asks for {asked.context}"

    @property
    def _uneven(self) -> str | None:
        tensor = self.asked.widths.tensor
        if self.shape.heads and self.shape.heads % tensor:
            return f"its {self.shape.heads} attention heads can't be divided by tensor width {tensor}"
        # vllm/model_executor/layers/linear.py, QKVParallelLinear: whole heads per GPU, or one head for several GPUs.
        for heads in sorted({layers.heads for layers in self.shape.layers if layers.heads}):
            if max(heads, tensor) % min(heads, tensor):
                return f"its {heads} heads of keys and values can't be divided by tensor width {tensor}"
        return None

    @property
    def fits(self) -> bool | None:
        """Return whether it fits; None if its cache is unknown and weights and overhead alone would fit."""
        if self.refused or self.cache_room < 0:
            return False
        return None if self.left is None else self.left >= 0

    @property
    def close(self) -> bool:
        """Return whether it misses by so little that the error of the overhead estimate may be the reason."""
        missing = self.overhead if self.left is None else -self.left
        return self.fits is False and not self.refused and missing <= self.overhead // 2

    @property
    def per_token(self) -> int | None:
        """Return the bytes of one more token of a long request; full windows and states don't grow."""
        if self.unknown:
            return None
        stages = max(self.asked.widths.pipeline, 1)
        if self.asked.engine == "llama_cpp":
            stages = max(self.room.gpus, 1)
        size = cells.token_size if self.asked.engine == "llama_cpp" else token_size
        layers = (layers for layers in self.shape.layers if self._grow(layers))
        return round(sum(-(-each.count // stages) * size(each, self.asked) for each in layers))

    def _grow(self, layers: Layers) -> bool:
        if layers.kind in ("state", "none"):
            return False
        return not layers.window or self.asked.full_windows or layers.window >= self.asked.context

    @property
    def per_request(self) -> int | None:
        """Return the bytes of one request with the whole context."""
        return self.need(self.asked.context, 1)

    @cached_property
    def longest(self) -> int | None:
        """Return the largest context of a single request, at most the trained one; None if unknown."""
        if self.unknown:
            return None
        most = self.shape.context or LONGEST
        if self._holds(most):
            return most
        low, high = 0, most // STEP
        while low < high:
            middle = -(-(low + high) // 2)
            low, high = (middle, high) if self._holds(middle * STEP) else (low, middle - 1)
        return min(low * STEP, most)

    def _holds(self, context: int) -> bool:
        need = self.need(context, 1)
        return need is not None and need <= self.cache_room

    @property
    def requests(self) -> int | None:
        """Return how many requests have room for the whole context at the same time; None if unknown."""
        each = self.per_request
        if each is None or self.cache_room < 0:
            return None if each is None else 0
        if self._pool:
            return int(min(self._pool.sequences(self.asked.context, self.cache_room), MOST))
        return min(self.cache_room // each, MOST) if each else MOST

    def need(self, context: int, requests: int) -> int | None:
        """Return the bytes of cache for this number of requests of `context` tokens each; None if unknown."""
        if self.unknown:
            return None
        if self.asked.engine == "llama_cpp":
            return cells.need(self.shape, self.asked, self.room, context, requests)
        return self._pool.need(context, requests) if self._pool else 0

    @cached_property
    def _pool(self) -> Pool | None:
        return pool_of(self.shape, self.asked, self.room) if self.asked.engine == "vllm" else None
