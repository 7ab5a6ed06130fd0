"""Memory that an engine uses in addition to weights and cache: an estimate. vLLM itself measures it in a test run.

For vLLM, from its logs: activations 1.26 GiB for Llama 3 8B with 8192 tokens at once on an H100
(github.com/vllm-project/vllm, pull request 10511), CUDA graphs 0.36 and 0.73 GiB (gpustack/runner, pull request 251;
vllm, pull request 39559), memory outside PyTorch 0.15 to 0.2 GiB (vllm, pull requests 12126 and 14447), and 1.8 GiB
more on each of two GPUs than on one (10511). For llama.cpp b10434: its "compute buffer" line, and a CUDA context.
"""

from __future__ import annotations

from rackwright.fit import cells, pool
from rackwright.fit.demand import Asked, Room
from rackwright.shape.shape import ModelShape

MIB = 2**20
OUTSIDE = 300 * MIB
LINKED = 1024 * MIB
"""Buffers for the traffic of several GPUs (NCCL, custom all-reduce)."""
GRAPHS = 768 * MIB
CUDA = 512 * MIB
"""The CUDA context of a process that allocates all memory. vLLM doesn't count it in its share."""
PROCESS = {"vllm": 1536 * MIB, "llama_cpp": 128 * MIB}
"""Program and libraries of an engine on the CPU. vLLM with a tiny model took 2 GB on two cores."""
SAMPLER = 16
"""Bytes per request and vocabulary entry: logits in 16 and 32 bits, sorted, with their indices."""


def overhead(shape: ModelShape, asked: Asked, room: Room) -> int:
    """Return the bytes on one GPU, or in the host's memory if there is no GPU."""
    if asked.engine == "llama_cpp":
        buffer = cells.batch_of(asked, room) * (shape.vocabulary + shape.hidden) * 4
        return buffer + (PROCESS["llama_cpp"] if room.on_cpu else CUDA)
    activations = _activations(shape, asked, room)
    if room.on_cpu:
        return activations + PROCESS["vllm"]
    linked = LINKED if asked.widths.tensor * asked.widths.pipeline > 1 else 0
    return activations + OUTSIDE + linked + (0 if asked.eager else GRAPHS)


def _activations(shape: ModelShape, asked: Asked, room: Room) -> int:
    """Return the larger of two peaks: a whole batch in one layer, or one token of each request at the output."""
    tokens = pool.batch_of(asked, room)
    layer = tokens * 2 * ((6 + shape.used) * shape.hidden + 4 * shape.intermediate // asked.widths.tensor)
    return max(layer, asked.parallel * shape.vocabulary * SAMPLER)
