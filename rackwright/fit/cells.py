"""llama.cpp's cache: cells for all tokens of all requests, allocated completely at the start.

llama.cpp b10434: src/llama-context.cpp (n_ctx_seq), src/llama-kv-cache.cpp, src/llama-kv-cache-iswa.cpp,
src/llama-hparams.cpp (n_embd_r, n_embd_s). Each request has its own cells, because --parallel is set and
--kv-unified isn't.
"""

from __future__ import annotations

from rackwright.fit.demand import Asked, Room, number_size
from rackwright.shape.shape import Layers, ModelShape

_STEP = 256
_BATCH = 512
_CPU_BATCH = 256
"""Tokens per batch: llama.cpp's default, and rackwright's setting for CPUs."""


def batch_of(asked: Asked, room: Room) -> int:
    return asked.batch or (_CPU_BATCH if room.on_cpu else _BATCH)


def need(shape: ModelShape, asked: Asked, room: Room, context: int, sequences: int) -> int:
    """Return the bytes on the GPU with the most; GPUs get whole layers."""
    gpus = max(room.gpus, 1)
    return sum(-(-layers.count // gpus) * _layer(layers, asked, room, context) * sequences for layers in shape.layers)


def token_size(layers: Layers, asked: Asked) -> float:
    """Return the bytes that one layer keeps per token. A latent has only keys, which include the values."""
    key, value = number_size(asked.key_type), number_size(asked.value_type)
    return layers.heads * (layers.key * key + layers.value * value)


def _layer(layers: Layers, asked: Asked, room: Room, context: int) -> int:
    """Return the bytes of one layer for one request."""
    if state := layers.state:
        return 4 * ((state.channels + state.groups * state.group) * state.taps + state.recurrent)
    cells = _padded(context)
    if layers.window and not asked.full_windows:
        cells = _padded(min(cells, layers.window + batch_of(asked, room)))
    return round(cells * token_size(layers, asked))


def _padded(cells: int) -> int:
    return -(-cells // _STEP) * _STEP
