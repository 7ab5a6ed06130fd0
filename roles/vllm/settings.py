"""vLLM as a runtime: its version, its wheels, and the command line of one replica."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, field_validator

from rackwright.client_apis import served
from rackwright.launch import CudaVersion, Engine, Launch, Member, Reach, Task, Versioned, Widths, even_widths
from rackwright.roles.vllm.apis import APIS, order
from rackwright.roles.vllm.log_lines import log_lines
from rackwright.values.amounts import Size
from rackwright.values.paths import HostPath
from rackwright.values.text import Line, ServedName, Shape

ArgumentName = Annotated[
    str,
    Shape("[a-z][a-z0-9-]{1,48}", "should be the argument's long name without leading dashes, like block-size"),
]
VariableName = Annotated[str, Shape("[A-Z][A-Z0-9_]{0,63}", "should be the name of a variable, like VLLM_USE_V1")]
AdapterSource = Annotated[
    str,
    Shape(
        r"hf:[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*(@[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)*)?|file:.+",
        "should be hf:OWNER/REPO[@REVISION] or file:FOLDER",
    ),
]
AdapterRank = Literal[1, 8, 16, 32, 64, 128, 256, 320, 512]
"""The ranks that vLLM supports (vllm/config/lora.py)."""
Width = Annotated[int, Field(ge=1, le=1024)]

OWNED = frozenset(
    "host port uds root-path grpc grpc-port api-key ssl-keyfile ssl-certfile ssl-ca-certs ssl-cert-reqs "
    "ssl-ciphers enable-ssl-refresh allow-credentials allowed-origins allowed-methods allowed-headers middleware "
    "enable-offline-docs disable-fastapi-docs enable-scale-out tokens-only tool-server tool-parser-plugin "
    "reasoning-parser-plugin model tokenizer revision tokenizer-revision code-revision hf-token hf-config-path "
    "download-dir served-model-name trust-remote-code allowed-local-media-path allowed-media-domains "
    "trust-request-chat-template trust-request-mm-kwargs enable-prompt-embeds enable-mm-embeds max-model-len "
    "max-num-seqs scheduling-policy gpu-memory-utilization device-memory-utilization kv-cache-memory-bytes "
    "kv-cache-dtype "
    "quantization dtype enable-lora lora-modules max-lora-rank max-loras tensor-parallel-size "
    "pipeline-parallel-size prefill-context-parallel-size data-parallel-size data-parallel-size-local "
    "data-parallel-rank data-parallel-start-rank data-parallel-address data-parallel-rpc-port "
    "data-parallel-backend data-parallel-external-lb data-parallel-hybrid-lb data-parallel-multi-port-external-lb "
    "data-parallel-supervisor-port api-server-count nnodes node-rank master-addr master-port headless device-ids "
    "distributed-executor-backend shutdown-timeout config disable-log-stats aggregate-engine-logging "
    "enable-log-requests enable-log-outputs enable-log-deltas max-log-len log-error-stack log-config-file "
    "log-level logging-config uvicorn-log-level disable-uvicorn-access-log disable-access-log-for-endpoints "
    "otlp-traces-endpoint collect-detailed-traces profiler-config kv-transfer-config kv-events-config "
    "runner task ec-transfer-config weight-transfer-config enable-sleep-mode".split()
)
"""Arguments that rackwright sets itself, or that would expose an engine, run code that came with a model, or log
prompts. They are refused in `args`."""

_FREE = ("reasoning-parser",)
"""Complete argument names that are the beginning of an owned one."""

OWNED_VARIABLES = frozenset(
    "HOME PATH LD_PRELOAD LD_AUDIT LD_LIBRARY_PATH PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED "
    "CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER VLLM_HOST_IP VLLM_PORT VLLM_API_KEY VLLM_CPU_KVCACHE_SPACE "
    "VLLM_SERVER_DEV_MODE VLLM_NO_USAGE_STATS VLLM_DO_NOT_TRACK VLLM_PLUGINS VLLM_ALLOW_RUNTIME_LORA_UPDATING "
    "VLLM_DEBUG_LOG_API_SERVER_RESPONSE VLLM_ALLOW_INSECURE_SERIALIZATION VLLM_TORCH_PROFILER_DIR "
    "VLLM_LOGGING_LEVEL VLLM_LOGGING_CONFIG_PATH VLLM_TRACE_FUNCTION VLLM_RUST_FRONTEND_PATH VLLM_CACHE_ROOT "
    "VLLM_CONFIG_ROOT GLOO_SOCKET_IFNAME NCCL_SOCKET_IFNAME HF_TOKEN HF_HUB_OFFLINE TRANSFORMERS_OFFLINE".split()
)

CPU_CACHE = 4 * 2**30
"""Bytes. vLLM's default is a share of the host's memory, which each replica on the host would take."""


def cpu_batch(parallel: int) -> int:
    """Return how many tokens a replica without GPUs computes per step, unless its `args` set this."""
    return max(256, parallel)


class Settings(Versioned):
    answers_alike = frozenset(
        "python cuda parallel tensor_parallel_size pipeline_parallel_size data_parallel_size gpu_memory_utilization "
        "kv_cache_memory adapters max_lora_rank scheduling".split(),
    )

    kind: Literal["vllm"]
    version: Annotated[
        str, Shape("[0-9][A-Za-z0-9._-]{0,31}", "should be a release like 0.32.0: letters, digits and . _ - only")
    ]
    """Release of vLLM; several versions can be installed on a host."""
    build: Line | None = None
    """Where its wheels come from, as file:PATH: a folder with all of them, or a requirements file; the package index
    when absent."""
    python: HostPath = "/usr/bin/python3.13"
    """The hosts' Python interpreter; its name ends in the version for which wheels are chosen."""
    cuda: CudaVersion | None = None
    """CUDA version that the build was made with; none for a CPU build."""
    parallel: Annotated[int, Field(ge=1, le=4096)] = 256
    """Requests that one replica answers at a time; more are queued at the gateway."""
    scheduling: Literal["fcfs", "priority"] = "fcfs"
    """Which waiting request vLLM starts first: the one that came first, or the one of the highest priority."""
    tensor_parallel_size: Width | None = None
    """Number of GPUs over which each layer is split."""
    pipeline_parallel_size: Width | None = None
    """Number of GPU groups over which the layers are distributed."""
    data_parallel_size: Width | None = None
    """Number of complete copies of the model within one replica."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of a GPU's memory that a replica takes in total."""
    kv_cache_memory: Size | None = None
    """Bytes of KV cache on each GPU; the rest of the replica's share when absent, or 4 GiB without GPUs."""
    kv_cache_dtype: Annotated[str, Shape("[a-z0-9_]{1,32}", "should be a type like auto, fp8 or bfloat16")] = "auto"
    """Data type of the KV cache."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    quantization: Annotated[str, Shape("[a-z0-9][a-z0-9_-]{0,31}", "should be a method like fp8 or awq")] | None = (
        None
    )
    """How weights are quantized while they are loaded; as the model's files specify when absent."""
    adapters: dict[ServedName, AdapterSource] = {}
    """LoRA adapters that are served with the model, and their sources, by the names that clients ask for."""
    max_lora_rank: AdapterRank = 16
    """The highest rank that an adapter may have; each adapter takes as much memory as one of this rank."""
    args: dict[ArgumentName, Line | int | float | bool] = {}
    """Additional arguments of vLLM's server by their long name without dashes; true sets --NAME, false --no-NAME."""
    environment: dict[VariableName, Line] = {}
    """Variables of the engine's environment. Don't put secrets here: its unit file has them in plain text."""

    @field_validator("python")
    @classmethod
    def _tells_its_version(cls, python: str) -> str:
        if not _python_version(python):
            raise ValueError("should end in Python's version, like /usr/bin/python3.13")
        return python

    @field_validator("args")
    @classmethod
    def _not_owned(cls, args: dict[str, object]) -> dict[str, object]:
        if owned := sorted(name for name in args if _is_owned(name)):
            raise ValueError(f"{', '.join(owned)}: set by rackwright itself; leave it out of args")
        return args

    @field_validator("environment")
    @classmethod
    def _variables_not_owned(cls, environment: dict[str, str]) -> dict[str, str]:
        if owned := sorted(OWNED_VARIABLES & set(environment)):
            raise ValueError(f"{', '.join(owned)}: set by rackwright itself; leave it out of environment")
        return environment

    @property
    def python_version(self) -> str:
        """Version of the hosts' interpreter, like 3.13."""
        return _python_version(self.python)

    @property
    def interpreter(self) -> HostPath | None:
        """The folder of the interpreter; None: it is the system's."""
        prefix = PurePosixPath(self.python).parent.parent
        return None if prefix.is_relative_to("/usr") else str(prefix)

    @property
    def loads(self) -> tuple[str, ...]:
        """File endings of the weights that it reads, in order of preference."""
        return (".safetensors",)

    @property
    def counter(self) -> str:
        """Metric that moves while the engine works."""
        return "vllm:iteration_tokens_total_count"

    @property
    def busy(self) -> tuple[str, ...]:
        """Metrics whose sum is greater than zero while the engine has requests."""
        return ("vllm:num_requests_running", "vllm:num_requests_waiting")

    def batch(self, task: Task, context: int, *, gpus: int) -> int | None:
        """Return how many tokens a replica computes in one step; None: vLLM's default."""
        given = self.args.get("max-num-batched-tokens")
        if isinstance(given, int):
            return given
        # An encoder reads a whole text in one step.
        return None if gpus else max(cpu_batch(self.parallel), context if task is Task.EMBED else 0)

    def widths(self, gpus: int, hosts: int = 1) -> Widths:
        """Return how the work of a replica is spread. Raise ValueError if it can't be divided evenly."""
        return even_widths(
            tensor=self.tensor_parallel_size,
            pipeline=self.pipeline_parallel_size,
            data=self.data_parallel_size,
            gpus=gpus,
            hosts=hosts,
        )

    @property
    def tells_tokens(self) -> bool:
        """Whether the engine can return tokens with their probabilities. vLLM compiles the code for probabilities at
        the first such request; without a C++ compiler, this crashes the CPU build's engine, even on a host with GPUs
        (tested with 0.32.0)."""
        return self.cuda is not None

    @property
    def salts(self) -> bool:
        return True

    @property
    def schedules(self) -> bool:
        return self.scheduling == "priority"

    def apis(self, task: Task) -> tuple[str, ...]:
        """Return the paths that this version serves for clients of a model of this task."""
        return served(APIS, task, self.version, order)

    def launch(self, engine: Engine) -> Launch:
        """Return the process of one engine, or of one member of a replica over several hosts.

        The command is `vllm serve`, because the server's own module accepts --headless but serves anyway.
        Tested with 0.32.0: the engine answers to every served name; with --shutdown-timeout, requests in
        flight at SIGTERM get that time, and new ones get 500.
        """
        return Launch(
            command=(f"{self.folder}/bin/python", "-m", "vllm.entrypoints.cli.main", "serve", *self._words(engine)),
            environment=self._environment(engine),
            reach=Reach.MEMBERS if engine.member else Reach.LOOPBACK,
            member=engine.member,
            readable=tuple(path for path in (self.folder, self.interpreter) if path),
            compiles=True,
            log_lines=log_lines(self.folder, self.interpreter or "/usr/lib"),
        )

    def _words(self, engine: Engine) -> Iterator[str]:
        member = engine.member
        widths = self.widths(engine.gpus, len(member.addresses) if member else 1)
        yield engine.model
        if engine.answers:
            yield from ("--uds", engine.socket, "--served-model-name", engine.name)
        if engine.task is Task.EMBED:
            yield from ("--runner", "pooling")
        yield from ("--max-model-len", str(engine.context), "--max-num-seqs", str(self.parallel))
        yield from ("--shutdown-timeout", str(engine.stop_seconds))
        if self.scheduling == "priority":
            yield from ("--scheduling-policy", "priority")
        yield from ("--disable-fastapi-docs", "--disable-uvicorn-access-log", "--uvicorn-log-level", "warning")
        yield from self._memory(engine.gpus)
        yield from self._adapted(engine)
        yield from _spread(widths, member)
        yield from () if engine.gpus else self._on_cpu(engine, widths)
        for name, value in sorted(self.args.items()):
            # Name and value in one word: a separate value that begins with dashes would be read as an argument.
            yield f"--{'no-' if value is False else ''}{name}" if isinstance(value, bool) else f"--{name}={value}"

    def _memory(self, gpus: int) -> Iterator[str]:
        cache = self.kv_cache_memory if gpus else self.kv_cache_memory or CPU_CACHE
        if cache:
            yield from ("--kv-cache-memory-bytes", str(cache))
        if gpus:
            yield from ("--gpu-memory-utilization", str(self.gpu_memory_utilization))
        yield from ("--kv-cache-dtype", self.kv_cache_dtype, "--dtype", self.dtype)
        if self.quantization:
            yield from ("--quantization", self.quantization)

    def _adapted(self, engine: Engine) -> Iterator[str]:
        if not engine.adapters:
            return
        yield from ("--enable-lora", "--max-lora-rank", str(self.max_lora_rank))
        # With fewer, requests for different adapters would wait for one another.
        yield from ("--max-loras", str(len(engine.adapters)))
        if engine.answers:
            yield from ("--lora-modules", *(f"{adapter.name}={adapter.path}" for adapter in engine.adapters))

    def _on_cpu(self, engine: Engine, widths: Widths) -> Iterator[str]:
        if not {"enforce-eager", "compilation-config"} & set(self.args):
            # Hosts have no C++ compiler. With a pipeline, the CPU build's eager mode fails during warm-up.
            piped = ("--compilation-config", json.dumps({"mode": 2, "backend": "eager"}))
            yield from piped if widths.pipeline > 1 else ("--enforce-eager",)
        if "max-num-batched-tokens" not in self.args:
            # The probe's counter moves once per step, and a CPU takes too long for the default (thousands).
            yield from ("--max-num-batched-tokens", str(self.batch(engine.task, engine.context, gpus=0)))

    def _environment(self, engine: Engine) -> dict[str, str]:
        member = engine.member
        fixed = {
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_DO_NOT_TRACK": "1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_HOST_IP": str(member.own) if member else "127.0.0.1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        }
        if member is None:
            fixed |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
        elif not engine.gpus and self.widths(0, len(member.addresses)).tensor > 1:
            # For a split layer, the CPU build compiles code, which needs a C++ compiler.
            fixed["TORCHDYNAMO_DISABLE"] = "1"
        return {**self.environment, **fixed}


def _python_version(python: str) -> str:
    name = PurePosixPath(python).name.removeprefix("python")
    major, _, minor = name.partition(".")
    return name if major == "3" and minor.isdecimal() else ""


def _is_owned(name: str) -> bool:
    """Return whether the name is owned, or argparse reads it as owned: it accepts beginnings, and a --no-… form."""
    name = name.removeprefix("no-")
    return name not in _FREE and any(owned.startswith(name) for owned in OWNED)


def _spread(widths: Widths, member: Member | None) -> Iterator[str]:
    yield from ("--tensor-parallel-size", str(widths.tensor), "--pipeline-parallel-size", str(widths.pipeline))
    if widths.data > 1:
        yield from ("--data-parallel-size", str(widths.data))
    first = member is None or member.rank == 0
    if widths.data > 1 and first:
        yield from ("--api-server-count", "1")
    if member is None:
        return
    if widths.data > 1:
        local = widths.data // len(member.addresses)
        yield from ("--data-parallel-size-local", str(local), "--data-parallel-address", str(member.first))
        yield from ("--data-parallel-rpc-port", str(member.port))
        yield from () if first else ("--headless", "--data-parallel-start-rank", str(member.rank * local))
        return
    yield from ("--nnodes", str(len(member.addresses)), "--node-rank", str(member.rank))
    yield from ("--master-addr", str(member.first), "--master-port", str(member.port))
    yield from () if first else ("--headless",)
