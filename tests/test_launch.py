from __future__ import annotations

import pytest

from rackwright.launch import Launch, Reach, Widths, even_widths
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.roles.vllm.settings import Settings as Vllm

EVEN = [
    # (the request, GPUs on each of how many hosts, the result)
    ({}, 0, 1, Widths(1, 1, 1)),
    ({}, 8, 1, Widths(tensor=8)),
    ({"tensor": 2}, 8, 1, Widths(tensor=2, pipeline=4)),
    ({"pipeline": 2}, 8, 1, Widths(tensor=4, pipeline=2)),
    ({"data": 4}, 8, 1, Widths(tensor=2, data=4)),
    ({"tensor": 2, "data": 2}, 8, 1, Widths(tensor=2, pipeline=2, data=2)),
    ({}, 0, 2, Widths(pipeline=2)),
    ({}, 8, 2, Widths(tensor=8, pipeline=2)),
    ({"tensor": 16}, 8, 2, Widths(tensor=16)),
    ({"tensor": 2}, 0, 2, Widths(tensor=2)),
    ({"pipeline": 4}, 8, 2, Widths(tensor=4, pipeline=4)),
    ({"data": 2}, 8, 2, Widths(tensor=8, data=2)),
    ({"data": 4}, 8, 2, Widths(tensor=4, data=4)),
    ({"data": 2, "pipeline": 2}, 8, 2, Widths(tensor=4, pipeline=2, data=2)),
]


@pytest.mark.parametrize(("asked", "gpus", "hosts", "widths"), EVEN)
def test_what_is_not_asked_for_follows_and_all_gpus_have_work(
    asked: dict[str, int], gpus: int, hosts: int, widths: Widths
) -> None:
    found = even_widths(**{"tensor": None, "pipeline": None, "data": None, **asked}, gpus=gpus, hosts=hosts)
    assert found == widths
    assert found.total == max(gpus, 1) * hosts


UNEVEN = [
    (
        {"tensor": 3},
        8,
        1,
        "tensor 3, pipeline 2, data 1 need 6 GPUs, and there are 8; should match the number of GPUs",
    ),
    ({"tensor": 2, "pipeline": 2}, 8, 1, "tensor 2, pipeline 2, data 1 need 4 GPUs, and there are 8; "),
    ({"tensor": 16}, 8, 1, "and there are 8; "),
    ({"data": 3}, 8, 1, "tensor 2, pipeline 1, data 3 need 6 GPUs, and there are 8; "),
    ({"tensor": 2}, 0, 1, "and there are 1; "),
    ({"tensor": 8, "pipeline": 1}, 8, 2, "need 8 GPUs, and there are 8 on each of 2 hosts; "),
    ({"data": 2}, 8, 4, "data 2 can't be divided evenly over 4 hosts; should be a multiple of 4"),
    ({"data": 3}, 3, 2, "data 3 can't be divided evenly over 2 hosts"),
]


@pytest.mark.parametrize(("asked", "gpus", "hosts", "said"), UNEVEN)
def test_work_that_does_not_come_out_even_is_refused(asked: dict[str, int], gpus: int, hosts: int, said: str) -> None:
    with pytest.raises(ValueError, match=r"need|evenly") as caught:
        even_widths(**{"tensor": None, "pipeline": None, "data": None, **asked}, gpus=gpus, hosts=hosts)
    assert said in str(caught.value)


def test_an_engine_has_no_network_unless_its_runtime_says_so() -> None:
    launch = Launch(("run",))
    assert (launch.reach, launch.compiles, launch.member) == (Reach.NOTHING, False, None)


@pytest.mark.parametrize("runtime", [LlamaCpp, Vllm])
def test_settings_that_change_no_answer_are_settings(runtime: type[LlamaCpp] | type[Vllm]) -> None:
    assert runtime.answers_alike <= set(runtime.model_fields)


def test_what_may_change_an_answer_is_told_and_what_is_not_given_is_not() -> None:
    plain = Vllm(
        kind="vllm",
        version="0.32.0",
        parallel=8,
        gpu_memory_utilization=0.5,
        tensor_parallel_size=2,
        build="file:wheels",
    )
    assert plain.answering == ()
    other = plain.model_copy(update={"kv_cache_dtype": "fp8", "environment": {"VLLM_USE_V1": "1"}})
    assert other.answering == ('environment={"VLLM_USE_V1": "1"}', 'kv_cache_dtype="fp8"')


def test_the_cpu_build_of_vllm_is_not_asked_for_the_chances_of_tokens() -> None:
    made = Vllm(kind="vllm", version="0.32.0")
    assert not made.tells_tokens
    assert made.model_copy(update={"cuda": "13.0"}).tells_tokens
