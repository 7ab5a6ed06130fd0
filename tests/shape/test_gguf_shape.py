from __future__ import annotations

import pytest

from rackwright.shape.gguf import read_gguf
from rackwright.shape.gguf_shape import shape_of_gguf
from rackwright.shape.shape import Layers, ModelShape, State
from rackwright.shape.source import ShapeError
from tests.shape.files import Bytes, gguf

F32, Q4_K, Q6_K = 0, 12, 14


def shape(family: str, tensors: dict[str, tuple[int, tuple[int, ...]]] | None = None, **values: object) -> ModelShape:
    told = {"block_count": 4, "embedding_length": 512, "attention.head_count": 8, "attention.head_count_kv": 2}
    told |= {name.replace("__", "."): value for name, value in values.items()}
    metadata: dict[str, object] = {"general.architecture": family}
    metadata |= {f"{family}.{name}": value for name, value in told.items() if value is not None}
    return shape_of_gguf([read_gguf(Bytes(gguf(metadata, tensors)))])


def kinds(found: ModelShape) -> list[tuple[str, int, int]]:
    assert found.unknown is None
    return [(layers.kind, layers.count, layers.heads) for layers in found.layers]


def test_heads_that_share_keys():
    assert shape("llama").layers == (Layers(kind="full", count=4, heads=2, key=64, value=64),)


def test_keys_and_values_may_differ_in_width():
    (layers,) = shape("qwen3", attention__key_length=192, attention__value_length=128).layers
    assert (layers.key, layers.value) == (192, 128)


def test_heads_may_differ_from_layer_to_layer():
    assert kinds(shape("llama", attention__head_count_kv=[2, 4, 2, 2])) == [("full", 3, 2), ("full", 1, 4)]


def test_a_mistral_file_has_no_window_in_llama_cpp():
    assert kinds(shape("llama", attention__sliding_window=4096)) == [("full", 4, 2)]


@pytest.mark.parametrize(
    ("family", "depth", "expected"),
    [
        ("gemma2", 4, [("sliding", 2, 2), ("full", 2, 2)]),
        ("gemma3", 13, [("sliding", 11, 2), ("full", 2, 2)]),
        ("cohere2", 8, [("sliding", 6, 2), ("full", 2, 2)]),
        ("gpt-oss", 24, [("sliding", 12, 2), ("full", 12, 2)]),
        # allenai/Olmo-3-7B-Instruct, which the converter calls olmo2
        ("olmo2", 32, [("sliding", 24, 2), ("full", 8, 2)]),
    ],
)
def test_windows_where_llama_cpp_has_them(family: str, depth: int, expected: list[tuple[str, int, int]]):
    found = shape(family, block_count=depth, attention__sliding_window=256)
    assert kinds(found) == expected
    assert found.layers[0].window == 256
    assert kinds(shape(family, block_count=depth)) == [("full", depth, 2)]


def test_a_file_may_say_which_layers_have_a_window():
    marks = [True, False, False, False]
    found = shape("gemma3", attention__sliding_window=256, attention__sliding_window_pattern=marks)
    assert kinds(found) == [("sliding", 1, 2), ("full", 3, 2)]


def test_layers_for_speculative_decoding_are_left_out():
    tensors = {"blk.3.ffn_norm.weight": (F32, (10,)), "blk.4.ffn_norm.weight": (F32, (1000,))}
    found = shape("glm4moe", tensors, block_count=5, nextn_predict_layers=1)
    assert (kinds(found), found.weights.total) == ([("full", 4, 2)], 40)
    assert "no layers other than" in (shape("glm4moe", nextn_predict_layers=4).unknown or "")


def test_a_latent():
    new = shape("deepseek2", attention__key_length=576, attention__value_length=512, attention__key_length_mla=192)
    assert new.layers == (Layers(kind="latent", count=4, heads=1, key=576),)
    old = shape("deepseek2", attention__key_length=192, attention__value_length=128, attention__head_count_kv=8)
    assert kinds(old) == [("full", 4, 8)]


def test_jamba():
    found = shape(
        "jamba",
        attention__head_count_kv=[0, 2, 0, 0],
        ssm__conv_kernel=4,
        ssm__inner_size=512,
        ssm__state_size=16,
        feed_forward_length=1024,
    )
    assert kinds(found) == [("full", 1, 2), ("state", 3, 0)]
    assert found.layers[1].state == State(channels=512, taps=3, recurrent=8192, precision="float32")


def test_nemotron_h_has_layers_that_keep_nothing():
    found = shape(
        "nemotron_h",
        attention__head_count_kv=[0, 2, 0, 0],
        feed_forward_length=[0, 0, 2048, 0],
        ssm__conv_kernel=4,
        ssm__inner_size=512,
        ssm__state_size=64,
        ssm__time_step_rank=8,
        ssm__group_count=2,
    )
    assert kinds(found) == [("full", 1, 2), ("state", 2, 0), ("none", 1, 0)]
    expected = State(channels=512, groups=2, group=128, taps=3, recurrent=8 * 64 * 64, precision="float32")
    assert found.layers[1].state == expected


def test_qwen3_next():
    found = shape(
        "qwen3next",
        ssm__conv_kernel=4,
        ssm__inner_size=512,
        ssm__state_size=64,
        ssm__time_step_rank=8,
        ssm__group_count=4,
    )
    assert kinds(found) == [("full", 1, 2), ("state", 3, 0)]
    assert found.layers[1].state == State(channels=1024, taps=3, recurrent=32768, precision="float32")


def test_weights_are_the_tensors_bytes():
    tensors = {"token_embd.weight": (Q6_K, (512, 100)), "output.weight": (Q6_K, (512, 100)), "a": (Q4_K, (512, 2000))}
    found = shape("llama", tensors, context_length=4096, vocab_size=100, feed_forward_length=1024)
    weights = found.weights
    assert (weights.embedding, weights.head, weights.total) == (42_000, 42_000, 84_000 + 576_000)
    assert found.quantization == "Q4_K"
    assert (found.context, found.vocabulary, found.intermediate, found.heads) == (4096, 100, 1024, 8)


def test_parts_are_added_up():
    first = gguf({"general.architecture": "llama", "split.count": 2}, {"a": (F32, (10,))})
    second = gguf({"split.no": 1}, {"b": (F32, (20,))})
    found = shape_of_gguf([read_gguf(Bytes(first)), read_gguf(Bytes(second))])
    assert found.weights.total == 120


@pytest.mark.parametrize(
    ("family", "values", "why"),
    [
        ("mystery", {}, "rackwright doesn't know the cache layout of mystery"),
        ("llama", {"block_count": None}, "its metadata has no llama.block_count"),
        ("llama", {"block_count": 10**6}, "1000000 layers"),
        ("llama", {"attention__head_count_kv": [1, 2]}, "for 2 of 4 layers"),
    ],
)
def test_what_is_not_known_is_named(family: str, values: dict[str, object], why: str):
    assert why in (shape(family, **values).unknown or "")


def test_a_file_without_an_architecture_is_none():
    with pytest.raises(ShapeError, match=r"general\.architecture"):
        shape_of_gguf([read_gguf(Bytes(gguf({})))])
