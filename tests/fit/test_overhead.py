from __future__ import annotations

from dataclasses import replace

import pytest

from rackwright.fit.demand import Asked, Room
from rackwright.fit.overhead import CUDA, GRAPHS, LINKED, OUTSIDE, PROCESS, overhead
from rackwright.launch import Widths
from tests.fit.shapes import GIB, plain, published

H100 = Room(80 * GIB)
VLLM = Asked("vllm", context=8192, parallel=256)


def test_activations_are_near_what_vllm_measured():
    """Llama 3 8B, 8192 tokens at once on an H100: 1.26 GiB (vllm, pull request 10511)."""
    found = overhead(published("Llama-3.1-8B"), VLLM, H100) - OUTSIDE - GRAPHS
    assert found / GIB == pytest.approx(1.26, rel=0.05)


def test_many_requests_cost_at_the_output():
    many = overhead(plain(), replace(VLLM, parallel=1024), H100) - OUTSIDE - GRAPHS
    assert many == 1024 * 128_256 * 16


def test_graphs_and_links_are_left_out_where_there_are_none():
    assert overhead(plain(), VLLM, H100) - overhead(plain(), replace(VLLM, eager=True), H100) == GRAPHS
    wide = replace(VLLM, widths=Widths(pipeline=2))
    assert overhead(plain(), wide, H100) - overhead(plain(), VLLM, H100) == LINKED


def test_experts_that_are_used_cost():
    assert overhead(plain(used=8), VLLM, H100) - overhead(plain(), VLLM, H100) == 8192 * 2 * 8 * 4096


def test_llama_cpp_has_one_buffer_and_a_context():
    asked = Asked("llama_cpp", context=8192)
    assert overhead(plain(), asked, H100) == 512 * (128_256 + 4096) * 4 + CUDA
    assert overhead(plain(), asked, Room(GIB, 0)) == 256 * (128_256 + 4096) * 4 + PROCESS["llama_cpp"]
