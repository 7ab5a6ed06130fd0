"""Bytes per token and numbers of parameters of well-known models, compared with published figures."""

from __future__ import annotations

import pytest

from rackwright.fit.demand import Asked, Room
from rackwright.fit.fit import Fit
from rackwright.fit.known import known_models
from rackwright.fit.pool import state_size
from rackwright.fit.published import PUBLISHED, Published
from rackwright.shape.shape import ModelShape
from tests.fit.shapes import GIB, of_config, published

MISTRAL_7B = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_hidden_layers": 32,
    "sliding_window": None,
}
"""mistralai/Mistral-7B-v0.3"""
QWEN3_NEXT = {
    "model_type": "qwen3_next",
    "hidden_size": 2048,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "num_hidden_layers": 48,
    "full_attention_interval": 4,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_value_head_dim": 128,
}
"""Qwen/Qwen3-Next-80B-A3B-Instruct"""
NEMOTRON_H = {
    "model_type": "nemotron_h",
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "attention_head_dim": 128,
    "hybrid_override_pattern": "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
    "mamba_num_heads": 128,
    "mamba_head_dim": 64,
    "n_groups": 8,
    "ssm_state_size": 128,
    "conv_kernel": 4,
}
"""nvidia/Nemotron-H-8B-Base-8K: 24 Mamba 2 layers, 24 networks, 4 of attention (arXiv 2504.03624, section 2)"""
GPU = Room(80 * GIB)


def per_token(shape: ModelShape, *, windows: bool = False) -> int | None:
    return Fit(shape, Asked("vllm", context=8192, full_windows=windows), GPU).per_token


@pytest.mark.parametrize(
    ("shape", "bytes_a_token"),
    [
        # 2 x 32 layers x 8 heads x 128 x 2 bytes: huggingface.co/blog/llama31 (16 GB for 128k tokens).
        (published("Llama-3.1-8B"), 128 * 1024),
        # The same: 40 GB for 128k tokens.
        (published("Llama-3.1-70B"), 320 * 1024),
        (published("Qwen3-8B"), 144 * 1024),
        (published("Qwen3-32B"), 256 * 1024),
        # vllm, issue 21348: four GPUs with one head each; 8.11 GiB on each have room for 178,880 tokens: 1.2 % more.
        (published("Qwen3-235B-A22B"), 4 * 48_128),
        (published("Mistral-Small-24B"), 160 * 1024),
        (of_config(MISTRAL_7B), 128 * 1024),
        # arXiv 2505.09343, table 1: 70.272 KB a token for DeepSeek-V3, 516.096 KB for Llama 3.1 405B.
        (published("DeepSeek-V3"), 70_272),
        # Only full-attention layers grow: 10 of 62, 12 of 24, 18 of 36, 12 of 48, 4 of 52.
        (published("Gemma-3-27B"), 10 * 2 * 16 * 128 * 2),
        (published("gpt-oss-20b"), 12 * 2 * 8 * 64 * 2),
        (published("gpt-oss-120b"), 18 * 2 * 8 * 64 * 2),
        (of_config(QWEN3_NEXT), 12 * 2 * 2 * 256 * 2),
        (of_config(NEMOTRON_H), 4 * 2 * 8 * 128 * 2),
    ],
    ids=lambda value: value.architecture if isinstance(value, ModelShape) else "",
)
def test_bytes_a_token(shape: ModelShape, bytes_a_token: int):
    assert per_token(shape) == bytes_a_token


def test_windows_that_are_kept_whole_grow_too():
    assert per_token(published("Gemma-3-27B"), windows=True) == 62 * 2 * 16 * 128 * 2


def test_a_state_of_qwen3_next():
    """arXiv 2412.06464, section 3: a gated delta net keeps one matrix per head, after a convolution over 4 inputs."""
    full, states = of_config(QWEN3_NEXT).layers
    assert (full.count, states.count) == (12, 36)
    assert states.state
    asked = Asked("vllm", context=8192, type="bfloat16")
    assert state_size(states.state, asked, GPU) == (8192 * 3 + 32 * 128 * 128) * 2
    assert state_size(states.state, asked, Room(GIB, 0)) == 8192 * 3 * 2 + 32 * 128 * 128 * 4


def test_a_state_of_nemotron_h_is_kept_in_32_bits():
    states = of_config(NEMOTRON_H).layers[1].state
    assert states
    asked = Asked("vllm", context=8192, type="bfloat16")
    assert state_size(states, asked, GPU) == (8192 + 2 * 8 * 128) * 3 * 2 + 128 * 64 * 128 * 4


def parameters(one: Published) -> int:
    """Count the parameters of a model of plain layers, with or without experts."""
    text = {**one.config, **(one.config.get("text_config") or {})}  # type: ignore[dict-item]
    hidden, depth, heads = text["hidden_size"], text["num_hidden_layers"], text["num_attention_heads"]
    wide = text.get("head_dim", hidden // heads)
    attention = hidden * wide * (2 * heads + 2 * text["num_key_value_heads"])
    norms = 2 * hidden + (2 * wide if str(text["model_type"]).startswith("qwen3") else 0)
    experts = text.get("num_experts")
    network = 3 * hidden * (text["moe_intermediate_size"] * experts if experts else text["intermediate_size"])
    router = hidden * experts if experts else 0
    return depth * (attention + norms + network + router) + hidden + 2 * text["vocab_size"] * hidden


@pytest.mark.parametrize(
    "name", ["Llama-3.1-8B", "Llama-3.1-70B", "Qwen3-8B", "Qwen3-32B", "Qwen3-235B-A22B", "Mistral-Small-24B"]
)
def test_the_published_number_of_parameters_follows_from_the_configuration(name: str):
    (one,) = [one for one in PUBLISHED if one.name == name]
    assert parameters(one) == one.parameters


@pytest.mark.parametrize(
    ("name", "precision", "gigabytes"),
    [
        ("Llama-3.1-8B", "bf16", 16.06),
        ("Llama-3.1-70B", "bf16", 141.1),
        ("Llama-3.1-70B", "4-bit", 39.8),
        ("gpt-oss-20b", "4-bit", 13.74),
        ("gpt-oss-120b", "4-bit", 65.28),
    ],
)
def test_weights_of_well_known_files(name: str, precision: str, gigabytes: float):
    """The sums match the repositories' files: hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4 has 39.8 GB."""
    (one,) = [one for one in known_models() if (one.name, one.precision) == (name, precision)]
    assert one.shape.weights.total / 1e9 == pytest.approx(gigabytes, rel=0.002)


def test_what_is_published_in_few_bits_has_no_wider_weights():
    assert [one.precision for one in known_models() if one.name == "gpt-oss-20b"] == ["4-bit"]
    assert [one.precision for one in known_models() if one.name == "DeepSeek-V3"] == ["fp8", "4-bit"]
