from __future__ import annotations

from typing import Any

import pytest

from rackwright.fit.demand import Asked
from rackwright.fit.from_fleet import asked_of
from rackwright.fleet.sections.models import Model
from rackwright.launch import Engine, Task, Widths
from rackwright.roles.vllm.settings import CPU_CACHE, cpu_batch


def model(kind: str, **runtime: Any) -> Model:
    version = "0.32.0" if kind == "vllm" else "b10434"
    place = [{"on": ["gpu1"]}]
    settings = {"kind": kind, "version": version, **runtime}
    return Model.model_validate(
        {"source": "hf:a/b", "runtime": settings, "place": place, "names": ["a"], "context": 8192}
    )


def asked(kind: str, gpus: int = 1, **runtime: Any) -> Asked:
    return asked_of(model(kind, **runtime), gpus=gpus)


def test_llama_cpp_as_it_stands():
    found = asked("llama_cpp", gpus=2, parallel=3)
    assert (found.engine, found.context, found.parallel, found.must_hold) == ("llama_cpp", 8192, 3, 3)
    assert (found.widths, found.key_type, found.value_type, found.batch) == (Widths(pipeline=2), "f16", "f16", None)
    assert (found.full_windows, found.uncertain) == (False, None)


def test_llama_cpp_with_args_that_change_the_cache():
    args = {"cache-type-k": "q8_0", "cache-type-v": "q4_0", "ubatch-size": 128, "batch-size": 512, "swa-full": True}
    found = asked("llama_cpp", args=args)
    assert (found.key_type, found.value_type, found.batch, found.full_windows) == ("q8_0", "q4_0", 128, True)


@pytest.mark.parametrize(
    ("kind", "runtime", "why"),
    [
        ("vllm", {"adapters": {"a": "file:a"}}, "the memory of its adapters isn't taken into account"),
        ("llama_cpp", {"args": {"n-cpu-moe": 4}}, "its args contain n-cpu-moe, which can't be taken into account"),
        ("llama_cpp", {"args": {"cache-type-k": "turbo4"}}, "a cache of type turbo4"),
        ("vllm", {"args": {"cpu-offload-gb": 4}}, "its args contain cpu-offload-gb"),
        ("vllm", {"kv_cache_dtype": "nvfp4"}, "a cache of type nvfp4"),
    ],
)
def test_what_is_not_counted_is_named(kind: str, runtime: dict[str, Any], why: str):
    assert why in (asked(kind, **runtime).uncertain or "")


def test_vllm_may_be_told_to_take_longer_contexts():
    assert not asked("vllm").beyond
    assert asked("vllm", args={"hf-overrides": "{}"}).beyond
    assert asked("vllm", environment={"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}).beyond


def test_vllm_as_it_stands():
    found = asked("vllm", gpus=4)
    assert (found.engine, found.parallel, found.must_hold, found.share, found.cache) == ("vllm", 256, 1, 0.9, None)
    assert (found.widths, found.batch, found.eager, found.prefixes) == (Widths(tensor=4), None, False, True)


def test_vllm_with_what_can_be_said():
    found = asked(
        "vllm",
        gpus=8,
        tensor_parallel_size=4,
        gpu_memory_utilization=0.8,
        kv_cache_memory="2GiB",
        kv_cache_dtype="fp8",
        dtype="float16",
        quantization="fp8",
        args={"max-num-batched-tokens": 4096, "enforce-eager": True, "enable-prefix-caching": False},
    )
    assert (found.widths, found.share, found.cache) == (Widths(tensor=4, pipeline=2), 0.8, 2 * 2**30)
    assert (found.key_type, found.type, found.quantization) == ("fp8", "float16", "fp8")
    assert (found.batch, found.eager, found.prefixes) == (4096, True, False)


def test_over_several_hosts_layers_are_dealt_out_to_them():
    assert asked_of(model("vllm"), gpus=8, hosts=2).widths == Widths(tensor=8, pipeline=2)


def test_what_vllm_gets_without_gpus_is_what_is_counted():
    """roles/vllm uses the same values."""
    runtime = model("vllm", parallel=300)
    engine = Engine(model="/m", socket="/s", name="a", context=8192, gpus=0, stop_seconds=60)
    command = runtime.runtime.launch(engine).command
    found = asked_of(runtime, gpus=0)
    assert command[command.index("--kv-cache-memory-bytes") + 1] == str(found.cache) == str(CPU_CACHE)
    assert command[command.index("--max-num-batched-tokens") + 1] == str(found.batch) == str(cpu_batch(300))
    assert "--enforce-eager" in command
    assert found.eager


def test_what_the_command_line_says_stands_in():
    found = asked_of(model("vllm"), gpus=1, context=4096, parallel=12)
    assert (found.context, found.parallel, found.must_hold) == (4096, 12, 12)


@pytest.mark.parametrize(
    ("kind", "args", "context", "gpus", "batch"),
    [
        ("llama_cpp", {}, 32_768, 1, 8192),
        ("llama_cpp", {}, 512, 0, 512),
        ("llama_cpp", {"pooling": "last"}, 32_768, 1, None),
        ("llama_cpp", {"pooling": "last"}, 32_768, 0, 256),
        ("vllm", {}, 512, 0, 512),
        ("vllm", {}, 128, 0, 256),
        ("vllm", {}, 512, 1, None),
    ],
)
def test_an_encoder_reads_a_whole_text_at_once(
    kind: str, args: dict[str, str], context: int, gpus: int, batch: int | None
) -> None:
    embedding = model(kind, args=args).model_copy(update={"task": Task.EMBED, "context": context})
    assert asked_of(embedding, gpus=gpus).batch == batch
