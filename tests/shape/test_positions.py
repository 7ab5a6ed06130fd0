from __future__ import annotations

from typing import Any

import pytest

from rackwright.shape.positions import longest_context
from rackwright.shape.values import Values

QWEN = {"max_position_embeddings": 40_960}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768}


@pytest.mark.parametrize(
    ("family", "config", "tokens"),
    [
        ("qwen3", QWEN, 40_960),
        ("qwen3", {}, None),
        # Qwen's cards say how to stretch it.
        ("qwen3", {**QWEN, "rope_scaling": YARN}, 131_072),
        ("qwen2", {**QWEN, "rope_scaling": {**YARN, "rope_type": None, "type": "yarn"}}, 131_072),
        ("qwen3", {**QWEN, "rope_parameters": {"full_attention": YARN, "sliding_attention": {}}}, 131_072),
        ("internlm2", {"max_position_embeddings": 32_768, "rope_scaling": {"type": "dynamic", "factor": 2}}, 65_536),
        # meta-llama/Llama-3.1-8B
        (
            "llama",
            {"max_position_embeddings": 131_072, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
            131_072,
        ),
        # deepseek-ai/DeepSeek-V3
        (
            "deepseek_v3",
            {
                "max_position_embeddings": 163_840,
                "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096},
            },
            163_840,
        ),
        ("gemma3_text", {"max_position_embeddings": 131_072, "rope_scaling": {"factor": 8.0}}, 131_072),
        # CohereLabs/c4ai-command-r-v01
        ("cohere", {"max_position_embeddings": 8192, "model_max_length": 131_072}, 131_072),
        ("llama", {**QWEN, "rope_scaling": {"type": "linear", "factor": float("nan")}}, 40_960),
        ("llama", {**QWEN, "rope_scaling": {"type": "linear", "factor": "8"}}, 40_960),
        ("llama", {**QWEN, "rope_scaling": None}, 40_960),
    ],
)
def test_the_longest_context(family: str, config: dict[str, Any], tokens: int | None):
    assert longest_context(family, Values(config)) == tokens
