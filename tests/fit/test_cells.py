"""llama.cpp's cache, compared with the sizes that llama-server printed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rackwright.fit.cells import batch_of, need
from rackwright.fit.demand import Asked, Room
from rackwright.shape.gguf import read_gguf
from rackwright.shape.gguf_shape import shape_of_gguf
from rackwright.shape.shape import Layers, ModelShape
from tests.fit.shapes import GIB, plain
from tests.shape.files import Bytes, gguf

CPU = Room(16 * GIB, 0)
MIB = 2**20
ASKED = Asked("llama_cpp", context=8000, parallel=3)


def of(family: str, **values: object) -> ModelShape:
    told = {f"{family}.{name.replace('__', '.')}": value for name, value in values.items()}
    return shape_of_gguf([read_gguf(Bytes(gguf({"general.architecture": family, **told})))])


SMOLLM2 = of("llama", block_count=30, embedding_length=576, attention__head_count=9, attention__head_count_kv=3)
GEMMA3 = of(
    "gemma3",
    block_count=13,
    embedding_length=256,
    attention__head_count=4,
    attention__head_count_kv=1,
    attention__key_length=64,
    attention__value_length=64,
    attention__sliding_window=256,
)
JAMBA = of(
    "jamba",
    block_count=8,
    embedding_length=256,
    attention__head_count=4,
    attention__head_count_kv=[0, 0, 0, 0, 2, 0, 0, 0],
    ssm__conv_kernel=4,
    ssm__inner_size=512,
    ssm__state_size=16,
)


@pytest.mark.parametrize(
    ("shape", "asked", "mebibytes"),
    [
        # llama_kv_cache: size = 180.00 MiB (  2048 cells,  30 layers,  4/4 seqs)
        (SMOLLM2, replace(ASKED, context=2048, parallel=4), 180.0),
        # 12.00 MiB (  8192 cells,   2 layers,  3/3 seqs) and 4.12 MiB (   512 cells,  11 layers,  3/3 seqs)
        (GEMMA3, ASKED, 12.0 + 4.125),
        # With --swa-full and q8_0: 6.38 MiB and 35.06 MiB (  8192 cells, each)
        (GEMMA3, replace(ASKED, key_type="q8_0", value_type="q8_0", full_windows=True), 6.375 + 35.0625),
        # 12.00 MiB (  8192 cells,   1 layers), llama_memory_recurrent: 0.78 MiB (R (f32): 0.12, S (f32): 0.66)
        (JAMBA, ASKED, 12.0 + 0.779),
    ],
    ids=["smollm2", "gemma3", "gemma3 whole in q8_0", "jamba"],
)
def test_a_cache_has_as_many_bytes_as_llama_server_says(shape: ModelShape, asked: Asked, mebibytes: float):
    """llama-server b10434 on a CPU, `--ctx-size 24000 --parallel 3 --batch-size 256` (SmolLM2: 8192 and 4)."""
    assert shape.unknown is None
    assert need(shape, asked, CPU, asked.context, asked.parallel) / MIB == pytest.approx(mebibytes, abs=0.001)


def test_a_latent_has_no_values():
    latent = (Layers(kind="latent", count=61, heads=1, key=576),)
    assert need(plain(layers=latent), ASKED, CPU, 256, 1) == 256 * 70_272


def test_layers_are_dealt_out_to_gpus():
    three = need(plain(), ASKED, Room(GIB, 3), 8192, 1)
    assert three == need(plain(), ASKED, Room(GIB, 1), 8192, 1) * 11 // 32


def test_keys_and_values_may_be_of_two_types():
    asked = replace(ASKED, key_type="q8_0", value_type="f16")
    assert need(plain(), asked, CPU, 256, 1) == 256 * 32 * 8 * 128 * (34 / 32 + 2)


def test_a_window_holds_a_batch_beside_it():
    windowed = (Layers(kind="sliding", count=1, heads=1, key=1, value=1, window=1024),)
    gpu, cpu = Room(GIB, 1), CPU
    assert need(plain(layers=windowed), ASKED, gpu, 100_000, 1) == (1024 + 512) * 4
    assert need(plain(layers=windowed), ASKED, cpu, 100_000, 1) == (1024 + 256) * 4
    assert batch_of(replace(ASKED, batch=64), gpu) == 64
    assert need(plain(layers=windowed), ASKED, gpu, 300, 1) == 512 * 4
