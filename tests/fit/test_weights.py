from __future__ import annotations

from typing import Any

import pytest

from rackwright.fit.demand import Asked, Room
from rackwright.fit.weights import weights_per_gpu
from rackwright.launch import Widths
from rackwright.shape.shape import Weights
from tests.fit.shapes import GIB, plain

LLAMA_CPP = Asked("llama_cpp", context=4096)
CPU = Room(64 * GIB, 0)


def weights(total: int, kind: str = "BF16", **parts: int) -> dict[str, Any]:
    return {"weights": Weights(total=total, stored={kind: total}, **parts)}


def vllm(shape: dict[str, Any], widths: Widths | None = None, **asked: Any) -> int:
    given = Asked("vllm", context=4096, widths=widths or Widths(), **asked)
    return weights_per_gpu(plain(**shape), given, Room(80 * GIB, given.widths.total))


def test_one_gpu_has_all():
    assert vllm(weights(1000, embedding=100, head=100)) == 1000


def test_a_tensor_width_cuts_all_but_norms_and_routers():
    assert vllm(weights(1000, embedding=100, head=100, replicated=8), Widths(tensor=4)) == 50 + (800 - 8) // 4 + 8


@pytest.mark.parametrize(("tensor", "share"), [(4, 4), (8, 8), (16, 8)])
def test_each_gpu_makes_keys_of_at_least_one_head(tensor: int, share: int):
    assert vllm(weights(1600, grouped=160), Widths(tensor=tensor)) == (1600 - 160) // tensor + 160 // share


def test_stages_have_whole_layers_and_the_ends_are_apart():
    """32 layers over 3 stages: 11, 11 and 10."""
    found = vllm(weights(3400, embedding=120, head=80), Widths(pipeline=3))
    assert found == 3200 * 11 // 32 + 120


def test_copies_have_all():
    assert vllm(weights(1000), Widths(data=4)) == 1000


def test_wide_numbers_become_those_that_it_computes_with():
    assert vllm(weights(1000, "F32")) == 500
    assert vllm(weights(1000, "F32"), type="float32") == 1000
    assert vllm(weights(1000)) == 1000


def test_a_few_wide_numbers_stay():
    assert vllm({"weights": Weights(total=1000, stored={"BF16": 900, "F32": 100})}) == 1000


def test_quantization_makes_all_but_the_vocabulary_smaller():
    assert vllm(weights(1000, embedding=100, head=100), quantization="fp8") == 400 + 200
    assert vllm(weights(1000, "F32", embedding=100, head=100), quantization="fp8") == 200 + 100


def test_what_is_quantized_already_stays():
    shape = {**weights(1000, "F8_E4M3"), "quantization": "fp8"}
    assert vllm(shape, quantization="fp8") == 1000
    assert vllm(weights(1000), quantization="awq") == 1000


def test_llama_cpp_looks_tokens_up_on_the_host():
    shape = plain(**weights(1000, "Q4_K", embedding=100, head=120))
    assert weights_per_gpu(shape, LLAMA_CPP, Room(GIB, 1)) == 900
    assert weights_per_gpu(shape, LLAMA_CPP, CPU) == 1000


def test_where_the_embedding_is_the_output_a_gpu_has_a_copy():
    assert weights_per_gpu(plain(**weights(1000, "Q4_K", embedding=100)), LLAMA_CPP, Room(GIB, 1)) == 1000


def test_llama_cpp_deals_whole_layers_out():
    shape = plain(**weights(3400, "Q4_K", embedding=100, head=100))
    assert weights_per_gpu(shape, LLAMA_CPP, Room(GIB, 3)) == 3200 * 11 // 32 + 100


def test_without_known_layers_stages_are_alike():
    shape = plain(layers=(), **weights(3000, "Q4_K"))
    assert weights_per_gpu(shape, LLAMA_CPP, Room(GIB, 3)) == 1000
