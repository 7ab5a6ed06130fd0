"""What an engine's unit may log: why an engine doesn't load, and nothing that quotes a request.

The lines are those of llama.cpp b10434 and vLLM 0.32.0, whose timestamps and process ids vary.
"""

from __future__ import annotations

import re

import pytest

from rackwright.launch import Engine
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.roles.replica.unit import render
from rackwright.roles.vllm.settings import Settings as Vllm
from tests.roles.serving import REPLICA

FOLDER = "/srv/models/assistant/dddddddddddddddd"
MODEL = f"{FOLDER}/m-00001-of-00003.gguf"
PROGRAM = "/opt/rackwright/runtimes/llama_cpp-b10434/llama-server"
SOURCE = "/opt/rackwright/runtimes/vllm-0.32.0/lib/python3.13/site-packages/vllm"
AT = "0.00.022.028 E "
INFO, ERROR = (f"(EngineCore_DP0 pid=1) {level} 11-28 23:41:44 [core.py:402] " for level in ("INFO", "ERROR"))
UNIT = "rackwright-assistant@1.service: "


def logged(runtime: LlamaCpp | Vllm, line: str) -> bool:
    """Return whether the unit of an engine lets journald keep this line."""
    engine = Engine(MODEL, REPLICA.socket, "assistant", 4096, 0, REPLICA.stop_seconds)
    unit = render(REPLICA.launched(runtime.launch(engine)))
    patterns = re.findall("^LogFilterPatterns=(.+)$", unit, re.MULTILINE)
    assert all(pattern.startswith("^(?:") and pattern.endswith(r")\s*$") for pattern in patterns)
    # systemd keeps all patterns of a unit in one extended attribute of 64 KiB, and filters nothing without it.
    assert sum(len(pattern) + 1 for pattern in patterns) < 60_000
    return any(re.search(pattern, line, re.ASCII) for pattern in patterns)


LLAMA = LlamaCpp(kind="llama_cpp", version="b10434")
VLLM = Vllm(kind="vllm", version="0.32.0")


@pytest.mark.parametrize(
    "line",
    [
        "llama_model_load: error loading model: tensor 'blk.2.ffn_up.weight' data is not within the file bounds, "
        "model is corrupted or incomplete",
        "llama_model_load: error loading model: error loading model architecture: unknown model "
        "architecture: 'new-3'",
        f"llama_model_load: error loading model: llama_model_loader: failed to load model from {MODEL}",
        "llama_model_load_from_file_impl: failed to load model",
        "common_fit_params: encountered an error while trying to fit params to free device memory: "
        "failed to load model",
        f"cmn  common_init_: failed to load model '{MODEL}'",
        f"srv    load_model: failed to load model, '{MODEL}'",
        f"srv    load_model: failed to create_context with model '{MODEL}'",
        f"gguf_init_from_file: failed to open GGUF file '{MODEL}' (No such file or directory)",
        f"llama_model_load: failed to load GGUF split from {FOLDER}/m-00002-of-00003.gguf",
        "gguf_init_from_reader: invalid magic characters: '?3??', expected 'GGUF'",
        "read: string length 20 exceeds remaining file size 18 bytes",
        "gguf_init_from_reader: failed to read key-value pairs",
        "ggml_aligned_malloc: insufficient memory (attempted to allocate 2205.00 MB)",
        "alloc_tensor_range: failed to allocate CPU buffer of size 2312110080",
        "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 2312110080",
        "llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache",
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 7605.33 MiB on device 0: cudaMalloc failed: "
        "out of memory",
        "ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected",
        "llama_init_from_model: quantized V cache requires flash_attn to be enabled",
        "srv         start: couldn't bind HTTP server socket, hostname: /run/rackwright/assistant@1/engine.sock, "
        "port: 8080",
        "srv  llama_server: exiting due to model loading error",
    ],
)
def test_llama_cpp_says_why_it_does_not_load(line: str) -> None:
    assert logged(LLAMA, AT + line)
    assert not logged(LLAMA, f"{AT}{line} and more")
    assert not logged(LLAMA, f"more {AT}{line}")


@pytest.mark.parametrize(
    "line",
    [
        "error: invalid argument: --nonsense",
        'error while handling argument "--threads": stoi',
        f"{PROGRAM}: error while loading shared libraries: libcuda.so.1: cannot open shared object file: "
        "No such file or directory",
        f"{PROGRAM}: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by {PROGRAM})",
        "/project/ggml/src/ggml.c:1643: GGML_ASSERT(ctx->mem_buffer != NULL) failed",
        "/app/ggml/src/ggml-cuda/ggml-cuda.cu:83: CUDA error",
    ],
)
def test_llama_cpp_says_why_it_does_not_start_and_why_it_ended(line: str) -> None:
    assert logged(LLAMA, line)
    assert not logged(LLAMA, f"{line} and more")


@pytest.mark.parametrize(
    "line",
    [
        f"{INFO}Resolved architecture: LlamaForCausalLM",
        "Loading safetensors checkpoint shards:   0% Completed | 0/1 [00:00<?, ?it/s]"
        "\rLoading safetensors checkpoint shards: 100% Completed | 1/1 [00:01<00:00,  1.46s/it]",
        f"{INFO}CPU KV cache size: 46,592 tokens, Maximum concurrency for 1,024 tokens per request: 45.50x",
        f"{INFO}init engine (profile, create kv cache, warmup model) took 0.86 s",
        f"{INFO}Engine 000: Avg prompt throughput: 31.6 tokens/s, Avg generation throughput: 5.7 tokens/s, Running: "
        "1 reqs, Waiting: 0 reqs, CPU KV cache usage: 1.1%, Prefix cache hit rate: 0.0%",
        f"{ERROR}Traceback (most recent call last):",
        f'{ERROR}  File "{SOURCE}/v1/engine/core.py", line 1500, in run_engine_core',
        f"{ERROR}EngineCore failed to start.",
        f"{ERROR}torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 896.00 MiB. GPU 0 has a total "
        "capacity of 79.15 GiB of which 318.06 MiB is free. Including non-PyTorch memory, this process has 78.82 "
        "GiB memory in use. Of the allocated memory 78.17 GiB is allocated by PyTorch, and 26.12 MiB is reserved by "
        "PyTorch but unallocated.",
        f"{ERROR}ValueError: Free memory on device cuda:0 (10.2/79.15 GiB) on startup is less than desired GPU "
        "memory utilization (0.9, 71.23 GiB). Decrease GPU memory utilization or reduce GPU memory used by other "
        "processes.",
        f"{ERROR}ValueError: To serve at least one request with the model's max seq len (131072), (16.0 GiB KV "
        "cache is needed, which is larger than the available KV cache memory (3.25 GiB). Based on the available "
        "memory, the estimated maximum model length is 26624. Try increasing `gpu_memory_utilization` (which also "
        "controls CPU memory on the CPU backend) or decreasing `max_model_len` when initializing the engine. See "
        "https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details.",
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): "
        "{'EngineCore_DP0': 1}",
        "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
        "ModuleNotFoundError: No module named 'triton'",
        f"{ERROR}safetensors._safetensors_rust.SafetensorError: Error while deserializing header: "
        "incomplete metadata, file not fully covered",
        "OSError: [Errno 28] No space left on device",
        "vllm serve: error: unrecognized arguments: --nonsense=3",
    ],
)
def test_vllm_says_how_it_loads_and_why_it_does_not(line: str) -> None:
    assert logged(VLLM, line)
    assert not logged(VLLM, f"{line} and more")
    assert not logged(VLLM, f"more: {line}")


@pytest.mark.parametrize(
    "line",
    [
        f"{UNIT}Failed at step EXEC spawning {PROGRAM}: Permission denied",
        f"{UNIT}Failed to execute {PROGRAM}: Exec format error",
        f"{UNIT}Failed to set up mount namespacing: /run/systemd/unit-root/srv/models: No such file or directory",
        "/bin/sh: 1: cannot open /etc/systemd/system/rackwright-assistant@1.service.d/gpus.conf: No such file",
        "no interface has 10.0.0.7",
        "eth0 has another address before 10.0.0.7",
    ],
)
@pytest.mark.parametrize("runtime", [LLAMA, VLLM])
def test_the_unit_says_why_no_engine_was_started(runtime: LlamaCpp | Vllm, line: str) -> None:
    assert logged(runtime, line)
    assert not logged(runtime, f"{line} and more")


@pytest.mark.parametrize("runtime", [LLAMA, VLLM])
@pytest.mark.parametrize(
    "line",
    [
        "",
        "root ::= secret",
        "warning: no usable GPU found, --gpu-layers option will be ignored",
        "parse: error parsing grammar: expecting ')' at secret",
        "E srv    operator(): got exception: parse error at line 1, column 83: invalid string; last read: 'secret",
        f"{AT}srv    send_error: task id = 15, error: secret",
        f"{AT}llama_model_load: error loading model: the secret",
        f"{AT}failed to load model secret",
        f"{AT}llama_model_load: error loading model: tensor 'a secret' data is not within the file bounds, model is "
        "corrupted or incomplete",
        f"{ERROR}Tool call 'secret' has arguments that are not valid JSON (17 chars); coercing to an empty object so "
        "the conversation can continue.",
        f"{ERROR}Error with model error=ErrorInfo(message='The model `secret` does not exist.', code=404)",
        f"{ERROR}ValueError: the secret",
        f"{ERROR}torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 896.00 MiB. the secret",
        f'{ERROR}  File "/a secret/b.py", line 1, in f',
        f"{UNIT}Failed to execute the secret: Permission denied",
        f"{UNIT}the secret",
        "more\nno interface has 10.0.0.7",
    ],
)
def test_what_may_quote_a_request_is_dropped(runtime: LlamaCpp | Vllm, line: str) -> None:
    assert not logged(runtime, line)


@pytest.mark.parametrize(
    "line",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1 GiB." + " 1." * 24 + "!",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1 GiB." + " (e.g.," * 24 + "!",
        "\rLoading safetensors checkpoint shards: 100% Completed | 1/1 [00:01<00:00,  1.37s/it]\r" * 24 + "!",
    ],
)
def test_no_line_keeps_journald_busy(line: str) -> None:
    """With an expression that backtracks exponentially, this wouldn't end."""
    assert not logged(VLLM, line)
