from __future__ import annotations

from rackwright.fit.known import known_models, served_by
from rackwright.fit.published import PUBLISHED
from tests.fit.shapes import GIB

H100 = 81_559 * 2**20


def served(memory: int | None, gpus: int, ram: int = 0) -> dict[tuple[str, str], int]:
    return {(one.name, one.precision): one.gpus for one in served_by(memory, gpus, ram)}


def test_every_published_model_is_understood():
    assert [one.shape.unknown for one in known_models()] == [None] * len(known_models())
    assert {one.name for one in known_models()} == {one.name for one in PUBLISHED}


def test_one_card_of_80_gb():
    found = served(H100, 1)
    assert found["Llama-3.1-8B", "bf16"] == 1
    assert found["gpt-oss-120b", "4-bit"] == 1
    assert ("Llama-3.1-70B", "bf16") not in found
    assert ("Qwen3-235B-A22B", "4-bit") not in found


def test_eight_cards_and_the_fewest_that_do():
    found = served(H100, 8)
    assert found["Llama-3.1-8B", "bf16"] == 1
    assert found["Llama-3.1-70B", "fp8"] == 2
    assert found["Qwen3-235B-A22B", "bf16"] == 8
    # Eight H100 are too small for it: github.com/deepseek-ai/DeepSeek-V3 names eight H200.
    assert ("DeepSeek-V3", "fp8") not in found
    assert served(143_771 * 2**20, 8)["DeepSeek-V3", "fp8"] == 8


def test_a_small_card():
    found = served(24 * GIB, 1)
    assert found["Llama-3.1-8B", "bf16"] == 1
    assert ("Qwen3-32B", "bf16") not in found


def test_without_gpus_what_the_memory_holds():
    found = served_by(None, 0, 24 * GIB)
    assert {one.precision for one in found} == {"Q4_K_M"}
    assert "Llama-3.1-8B" in {one.name for one in found}
    assert "Llama-3.1-70B" not in {one.name for one in found}
    assert served_by(None, 0, GIB) == ()


def test_what_is_served_has_room_for_what_is_told():
    for one in served_by(H100, 8, 0):
        assert one.context >= 8192
        assert one.requests >= 1
