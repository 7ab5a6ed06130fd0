"""Published configurations: what each layer of well-known models keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rackwright.shape.config import shape_of
from rackwright.shape.safetensors import Tensor
from rackwright.shape.shape import Layers, ModelShape, State
from rackwright.shape.source import ShapeError
from tests.fit.tiny import TINY

BASE = {"num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2, "hidden_size": 512}


def shape(config: dict[str, Any], *tensors: Tensor) -> ModelShape:
    return shape_of(json.dumps(config).encode(), tensors)


def kinds(config: dict[str, Any]) -> dict[str, int]:
    found = shape(config)
    assert found.unknown is None
    return {layers.kind: layers.count for layers in found.layers}


def test_heads_that_share_keys():
    (layers,) = shape({**BASE, "model_type": "llama"}).layers
    assert layers == Layers(kind="full", count=4, heads=2, key=64, value=64)


def test_a_head_may_be_wider_than_its_share():
    (layers,) = shape({**BASE, "model_type": "qwen3", "head_dim": 128}).layers
    assert (layers.key, layers.value) == (128, 128)


def test_without_shared_heads_each_has_its_own():
    config = {key: value for key, value in BASE.items() if key != "num_key_value_heads"}
    (layers,) = shape({**config, "model_type": "llama"}).layers
    assert layers.heads == 8


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "mistral", "sliding_window": 4096}, {"sliding": 4}),
        ({"model_type": "mistral", "sliding_window": None}, {"full": 4}),
        ({"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": False}, {"full": 4}),
        ({"model_type": "qwen2", "sliding_window": 4096}, {"full": 4}),
        (
            {"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 3},
            {"full": 3, "sliding": 1},
        ),
        ({"model_type": "gemma2", "sliding_window": 4096}, {"sliding": 2, "full": 2}),
        ({"model_type": "gemma3_text", "num_hidden_layers": 62, "sliding_window": 1024}, {"sliding": 52, "full": 10}),
        ({"model_type": "cohere2", "sliding_window": 4096, "sliding_window_pattern": 4}, {"sliding": 3, "full": 1}),
        ({"model_type": "gpt_oss", "sliding_window": 128}, {"sliding": 2, "full": 2}),
        # LGAI-EXAONE/EXAONE-4.0-32B
        (
            {"model_type": "exaone4", "sliding_window": 4096, "sliding_window_pattern": "LLLG"},
            {"sliding": 3, "full": 1},
        ),
        ({"model_type": "gemma3_text", "sliding_window": 0}, {"full": 4}),
        (
            {
                "model_type": "llama",
                "sliding_window": 9,
                "layer_types": ["full_attention"] * 3 + ["sliding_attention"],
            },
            {"full": 3, "sliding": 1},
        ),
        ({"model_type": "llama4_text", "attention_chunk_size": 8192}, {"chunked": 3, "full": 1}),
        ({"model_type": "llama4_text", "attention_chunk_size": None}, {"full": 4}),
        ({"model_type": "deepseek_v3", "kv_lora_rank": 512, "qk_rope_head_dim": 64}, {"latent": 4}),
    ],
    ids=lambda value: value.get("model_type") if "model_type" in value else "",
)
def test_which_layers_have_a_window(config: dict[str, Any], expected: dict[str, int]):
    assert kinds({**BASE, **config}) == expected


def test_a_latent_is_one_vector_for_all_heads():
    (layers,) = shape(TINY["deepseek-v3"]).layers
    assert layers == Layers(kind="latent", count=3, heads=1, key=576)


def test_states_of_qwen3_next():
    full, states = shape(TINY["qwen3-next"]).layers
    assert (full.count, states.count) == (2, 6)
    assert states.state == State(channels=1024, taps=3, recurrent=8 * 64 * 64)


def test_states_of_jamba():
    full, states = shape(TINY["jamba"]).layers
    assert (full.count, states.count, states.state) == (1, 7, State(channels=512, taps=3, recurrent=512 * 16))


def test_states_and_layers_that_keep_nothing_of_nemotron_h():
    full, states, nothing = shape(TINY["nemotron-h"]).layers
    assert (full.count, states.count, nothing.kind, nothing.count) == (1, 4, "none", 3)
    expected = State(channels=256, groups=2, group=128, taps=3, recurrent=8 * 32 * 64, precision="float32")
    assert states.state == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {
                "model_type": "falcon_h1",
                "mamba_d_ssm": 512,
                "mamba_n_groups": 1,
                "mamba_n_heads": 8,
                "mamba_d_head": 64,
                "mamba_d_state": 16,
                "mamba_d_conv": 4,
            },
            {"full": 4, "state": 4},
        ),
        (
            {
                "model_type": "granitemoehybrid",
                "layer_types": ["mamba", "mamba", "attention", "mamba"],
                "mamba_expand": 2,
                "mamba_n_groups": 1,
                "mamba_n_heads": 8,
                "mamba_d_head": 64,
                "mamba_d_state": 16,
                "mamba_d_conv": 4,
            },
            {"full": 1, "state": 3},
        ),
        ({"model_type": "lfm2", "full_attn_idxs": [1], "conv_L_cache": 3}, {"full": 1, "state": 3}),
    ],
    ids=["falcon_h1", "granitemoehybrid", "lfm2"],
)
def test_other_hybrids(config: dict[str, Any], expected: dict[str, int]):
    assert kinds({**BASE, **config}) == expected


def test_a_language_model_within_a_model_of_images():
    """google/gemma-3-4b-it leaves the defaults of transformers out of its config."""
    text = {"hidden_size": 2560, "model_type": "gemma3_text", "num_hidden_layers": 34, "sliding_window": 1024}
    found = shape({"model_type": "gemma3", "text_config": text, "torch_dtype": "bfloat16"})
    assert (found.architecture, found.heads, found.context, found.type) == ("gemma3_text", 8, 131_072, "bfloat16")
    assert [(layers.kind, layers.count, layers.heads, layers.key) for layers in found.layers] == [
        ("sliding", 29, 4, 256),
        ("full", 5, 4, 256),
    ]


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"model_type": "mystery"}, "rackwright doesn't know the cache layout of mystery"),
        ({}, "rackwright doesn't know the cache layout of a model without model_type"),
        (
            {"model_type": "deepseek_v32", "kv_lora_rank": 512},
            "rackwright doesn't know the cache layout of deepseek_v32",
        ),
        ({"model_type": "llama"}, "its config.json has no num_hidden_layers"),
        ({**BASE, "model_type": "llama", "layer_types": ["full_attention"]}, "not one for each layer"),
        ({**BASE, "model_type": "llama", "layer_types": ["odd"] * 4}, "has unknown layer_types"),
        ({**BASE, "model_type": "llama", "num_attention_heads": 0, "head_dim": None}, "no attention heads"),
        ({**BASE, "model_type": "nemotron_h", "hybrid_override_pattern": "M?"}, "hybrid_override_pattern"),
    ],
)
def test_what_is_not_known_is_named_and_not_guessed(config: dict[str, Any], why: str):
    found = shape(config, Tensor("model.a", "BF16", 10))
    assert why in (found.unknown or "")
    assert (found.layers, found.weights.total) == ((), 10)


def test_weights_are_told_apart_by_what_an_engine_does_with_them():
    found = shape(
        {**BASE, "model_type": "llama"},
        Tensor("model.embed_tokens.weight", "BF16", 100),
        Tensor("lm_head.weight", "BF16", 101),
        Tensor("model.layers.0.self_attn.q_proj.weight", "BF16", 7),
        Tensor("model.layers.0.self_attn.k_proj.weight", "BF16", 11),
        Tensor("model.layers.3.self_attn.v_proj.bias", "F32", 13),
        Tensor("model.layers.0.input_layernorm.weight", "BF16", 17),
        Tensor("vision_tower.layers.9.self_attn.k_proj.weight", "BF16", 1000),
    )
    weights = found.weights
    assert (weights.total, weights.stored) == (1249, {"BF16": 1236, "F32": 13})
    assert (weights.embedding, weights.head, weights.grouped, weights.replicated) == (100, 101, 24, 17)


def test_layers_for_speculative_decoding_are_left_out():
    found = shape(
        {**BASE, "model_type": "llama"},
        Tensor("model.layers.3.mlp.weight", "BF16", 10),
        Tensor("model.layers.4.mlp.weight", "BF16", 1000),
        Tensor("mtp.fc.weight", "BF16", 1000),
    )
    assert found.weights.total == 10


def test_weights_in_few_bits_are_named():
    config = {**BASE, "model_type": "llama", "quantization_config": {"quant_method": "awq", "bits": 4}}
    found = shape(config, Tensor("model.layers.0.mlp.qweight", "I32", 400))
    assert (found.quantization, found.weights.stored, found.weights.head) == ("awq", {"I32": 400}, 0)


@pytest.mark.parametrize(
    ("config", "widest"),
    [
        ({"model_type": "llama", "intermediate_size": 100}, 100),
        ({"model_type": "qwen3_moe", "intermediate_size": 100, "moe_intermediate_size": 30}, 240),
        ({"model_type": "deepseek_v3", "intermediate_size": 900, "moe_intermediate_size": 30}, 900),
        ({"model_type": "mixtral", "intermediate_size": 100}, 800),
    ],
)
def test_all_experts_that_a_token_uses_count(config: dict[str, Any], widest: int):
    used = {} if config["model_type"] == "llama" else {"num_experts_per_tok": 8}
    assert shape({**BASE, **config, **used}).intermediate == widest


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a":' * 100])
def test_what_is_no_config_is_told(content: bytes):
    with pytest.raises(ShapeError):
        shape_of(content, ())
