"""Well-known models: the parts of their publishers' config.json and model cards that determine memory use.

Each is from its repository's config.json (huggingface.co/NAME), with the repository's number of parameters; gpt-oss
is from its model card (arXiv 2508.10925, table 1: parameters, and the bytes of its 4-bit checkpoint); DeepSeek-V3 is
without the layer for speculative decoding (arXiv 2412.19437).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    name: str
    parameters: int
    config: Mapping[str, object]
    checkpoint: int | None = None
    """Bytes of the published files, for a model with only one precision; None: 16 bits per parameter."""
    precision: str = "bf16"
    """Precision in which it is published."""


_LLAMA = {
    "model_type": "llama",
    "vocab_size": 128_256,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131_072,
}
_QWEN3 = {
    "vocab_size": 151_936,
    "head_dim": 128,
    "max_position_embeddings": 40_960,
}
_GPT_OSS = {
    "model_type": "gpt_oss",
    "vocab_size": 201_088,
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "num_experts_per_tok": 4,
    "sliding_window": 128,
    "max_position_embeddings": 131_072,
    "quantization_config": {"quant_method": "mxfp4"},
}

PUBLISHED = (
    Published(
        "Llama-3.1-8B",
        8_030_261_248,
        {
            **_LLAMA,
            "hidden_size": 4096,
            "intermediate_size": 14_336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
        },
    ),
    Published(
        "Qwen3-8B",
        8_190_735_360,
        {
            **_QWEN3,
            "model_type": "qwen3",
            "hidden_size": 4096,
            "intermediate_size": 12_288,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
        },
    ),
    Published(
        "gpt-oss-20b",
        20_914_757_184,
        {**_GPT_OSS, "num_hidden_layers": 24, "num_local_experts": 32},
        checkpoint=round(12.8 * 2**30),
        precision="4-bit",
    ),
    Published(
        "Mistral-Small-24B",
        23_572_403_200,
        {
            "model_type": "mistral",
            "vocab_size": 131_072,
            "hidden_size": 5120,
            "intermediate_size": 32_768,
            "num_hidden_layers": 40,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 32_768,
            "sliding_window": None,
        },
    ),
    Published(
        "Gemma-3-27B",
        27_432_406_640,
        {
            "model_type": "gemma3",
            "text_config": {
                "model_type": "gemma3_text",
                "hidden_size": 5376,
                "intermediate_size": 21_504,
                "num_hidden_layers": 62,
                "num_attention_heads": 32,
                "num_key_value_heads": 16,
                "head_dim": 128,
                "sliding_window": 1024,
            },
            "tie_word_embeddings": True,
        },
    ),
    Published(
        "Qwen3-32B",
        32_762_123_264,
        {
            **_QWEN3,
            "model_type": "qwen3",
            "hidden_size": 5120,
            "intermediate_size": 25_600,
            "num_hidden_layers": 64,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
        },
    ),
    Published(
        "Llama-3.1-70B",
        70_553_706_496,
        {
            **_LLAMA,
            "hidden_size": 8192,
            "intermediate_size": 28_672,
            "num_hidden_layers": 80,
            "num_attention_heads": 64,
        },
    ),
    Published(
        "gpt-oss-120b",
        116_829_156_672,
        {**_GPT_OSS, "num_hidden_layers": 36, "num_local_experts": 128},
        checkpoint=round(60.8 * 2**30),
        precision="4-bit",
    ),
    Published(
        "Qwen3-235B-A22B",
        235_093_634_560,
        {
            **_QWEN3,
            "model_type": "qwen3_moe",
            "hidden_size": 4096,
            "intermediate_size": 12_288,
            "moe_intermediate_size": 1536,
            "num_experts": 128,
            "num_experts_per_tok": 8,
            "num_hidden_layers": 94,
            "num_attention_heads": 64,
            "num_key_value_heads": 4,
        },
    ),
    Published(
        "DeepSeek-V3",
        671_026_419_200,
        {
            "model_type": "deepseek_v3",
            "vocab_size": 129_280,
            "hidden_size": 7168,
            "intermediate_size": 18_432,
            "moe_intermediate_size": 2048,
            "n_routed_experts": 256,
            "num_experts_per_tok": 8,
            "num_hidden_layers": 61,
            "num_attention_heads": 128,
            "num_key_value_heads": 128,
            "kv_lora_rank": 512,
            "q_lora_rank": 1536,
            "qk_nope_head_dim": 128,
            "qk_rope_head_dim": 64,
            "v_head_dim": 128,
            "max_position_embeddings": 163_840,
            "quantization_config": {"quant_method": "fp8"},
        },
        precision="fp8",
    ),
)
