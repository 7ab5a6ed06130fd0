"""llama.cpp's cache: cells for all tokens of all requests, taken whole when it starts.

llama.cpp b10434: src/llama-context.cpp (n_ctx_seq), src/llama-kv-cache.cpp, src/llama-kv-cache-iswa.cpp,
src/llama-hparams.cpp (n_embd_r, n_embd_s). Each request has cells of its own, since --parallel is given and
--kv-unified isn't.
"""

from __future__ import annotations

from rackwright.fit.demand import Asked, Room, number_size
from rackwright.shape.shape import Layers, ModelShape

_STEP = 256
_BATCH = 512
_CPU_BATCH = 256
"""Tokens that go through the model at once: llama.cpp's own choice, and what rackwright gives it on processors."""


def batch_of(asked: Asked, room: Room) -> int:
    return asked.batch or (_CPU_BATCH if room.on_cpu else _BATCH)


def need(shape: ModelShape, asked: Asked, room: Room, context: int, sequences: int) -> int:
    """Return the bytes on the GPU that has the most: whole layers are dealt out to them."""
    gpus = max(room.gpus, 1)
    return sum(-(-layers.count // gpus) * _layer(layers, asked, room, context) * sequences for layers in shape.layers)


def token_size(layers: Layers, asked: Asked) -> float:
    """Return the bytes that one layer keeps of a token. Of a latent there are keys alone, the values are in them."""
    key, value = number_size(asked.key_type), number_size(asked.value_type)
    return layers.heads * (layers.key * key + layers.value * value)


def _layer(layers: Layers, asked: Asked, room: Room, context: int) -> int:
    """Bytes of one layer and one request."""
    if state := layers.state:
        return 4 * ((state.channels + state.groups * state.group) * state.taps + state.recurrent)
    cells = _padded(context)
    if layers.window and not asked.full_windows:
        cells = _padded(min(cells, layers.window + batch_of(asked, room)))
    return round(cells * token_size(layers, asked))


def _padded(cells: int) -> int:
    return -(-cells // _STEP) * _STEP
