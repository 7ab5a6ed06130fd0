"""llama.cpp as a runtime: its version, its build, and the command line of one replica."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator

from rackwright.client_apis import served
from rackwright.launch import CudaVersion, Engine, Launch, Task, Versioned, Widths
from rackwright.roles.llama_cpp.apis import APIS, order
from rackwright.roles.llama_cpp.log_lines import log_lines
from rackwright.values.text import Line, Shape

ArgumentName = Annotated[
    str, Shape("[a-z][a-z0-9-]{0,48}", "should be the argument's long name without leading dashes, like flash-attn")
]

OWNED = frozenset(
    "host port reuse-port model model-url hf-repo hf-file hf-token docker-repo models-dir offline rpc alias "
    "ctx-size parallel threads threads-http n-gpu-layers gpu-layers metrics slots no-slots slot-save-path props "
    "embedding embeddings rerank reranking "
    "api-key api-key-file api-prefix ssl-key-file ssl-cert-file path media-path "
    "ui no-ui webui no-webui ui-mcp-proxy webui-mcp-proxy tools tools-runtime agent mcp-servers-config "
    "mcp-servers-json log-file log-prompts-dir log-verbosity log-verbose verbosity verbose log-disable".split()
)
"""Arguments that rackwright sets, or that would expose an engine or log prompts. They are refused in `args`."""

LONGEST_BATCH = 8192
"""Tokens. No encoder has a longer context, and the memory for a batch grows with its length."""
CPU_BATCH = 256
"""Tokens. The probe's counter moves once per batch, and a CPU takes too long for the default of 2048."""


class Settings(Versioned):
    answers_alike = frozenset({"cuda", "parallel", "threads"})

    kind: Literal["llama_cpp"]
    version: Annotated[
        str, Shape("[A-Za-z0-9][A-Za-z0-9._-]{0,31}", "should be letters, digits and . _ - only, like b10434")
    ]
    """Release of llama.cpp, like b10434; several versions can be installed on a host."""
    build: Line | None = None
    """Archive of that release: https://…#sha256=HEX or file:PATH; the project's own Linux x64 build when absent."""
    cuda: CudaVersion | None = None
    """CUDA version that the build was made with; none for a CPU build."""
    parallel: Annotated[int, Field(ge=1, le=256)] = 4
    """Requests that one replica answers at a time; more are queued at the gateway."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU threads of one replica; llama.cpp's own choice when absent."""
    args: dict[ArgumentName, Line | int | float | bool] = {}
    """Additional llama-server arguments by their long name without dashes; true sets a flag without a value."""

    @field_validator("args")
    @classmethod
    def _not_owned(cls, args: dict[str, object]) -> dict[str, object]:
        if owned := sorted(OWNED & set(args)):
            raise ValueError(f"{', '.join(owned)}: set by rackwright itself; leave it out of args")
        if flags := sorted(name for name, value in args.items() if str(value).startswith("--")):
            raise ValueError(f"{', '.join(flags)}: the value is an argument; set that argument by its own name")
        return args

    def apis(self, task: Task) -> tuple[str, ...]:
        """Return the paths that this version serves for clients of a model of this task."""
        return served(APIS, task, self.version, order)

    @property
    def loads(self) -> tuple[str, ...]:
        """File endings of the weights that it reads, in order of preference."""
        return (".gguf",)

    @property
    def counter(self) -> str:
        """Metric that moves while the engine works."""
        return "llamacpp:n_decode_total"

    @property
    def busy(self) -> tuple[str, ...]:
        """Metrics whose sum is greater than zero while the engine has requests."""
        return ("llamacpp:requests_processing", "llamacpp:requests_deferred")

    def widths(self, gpus: int, hosts: int = 1) -> Widths:
        """Given a replica's GPUs, return how the work is spread over them: by layers, which is llama.cpp's default.

        Raise ValueError for more than one host.
        """
        if hosts > 1:
            raise ValueError("llama_cpp answers from one host; a replica over several needs the runtime vllm")
        return Widths(pipeline=max(gpus, 1))

    def launch(self, engine: Engine) -> Launch:
        """Return the process of one engine.

        Tested with b10434: the engine answers to every name, and says it in its answer. From verbosity 2 on, the log
        quotes requests that aren't valid JSON. SIGTERM doesn't drain: requests in flight stop making
        progress and are cut after up to 30 s, so drain at the gateways first.
        """
        command = [f"{self.folder}/llama-server", "--model", engine.model, "--host", engine.socket]
        command += ["--alias", engine.name]
        command += ["--ctx-size", str(engine.context * self.parallel), "--parallel", str(self.parallel)]
        # With the default pool, /metrics hangs behind waiting requests.
        command += ["--threads-http", "64", "--metrics", "--no-slots", "--no-webui", "--offline"]
        command += ["--log-verbosity", "1", "--n-gpu-layers", "999" if engine.gpus else "0"]
        command += self._batches(engine)
        if self.threads:
            command += ["--threads", str(self.threads)]
        for name, value in sorted(self.args.items()):
            command += [] if value is False else [f"--{name}"] if value is True else [f"--{name}", str(value)]
        return Launch(
            tuple(command), readable=(self.folder,), log_lines=log_lines(f"{self.folder}/llama-server", engine.model)
        )

    def batch(self, task: Task, context: int, *, gpus: int) -> int | None:
        """Return how many tokens an engine computes in one step; None: llama.cpp's default."""
        given = [size for name in ("batch-size", "ubatch-size") if isinstance(size := self.args.get(name), int)]
        if given:
            return min(given)
        if self._reads_whole_texts(task):
            return min(context, LONGEST_BATCH)
        return None if gpus else CPU_BATCH

    def _reads_whole_texts(self, task: Task) -> bool:
        """Return whether a text must fit into one step: an encoder can't split it, nor can most kinds of pooling."""
        return task is Task.EMBED and self.args.get("pooling") != "last"

    def _batches(self, engine: Engine) -> Iterator[str]:
        if engine.task is Task.EMBED:
            yield "--embeddings"
        if self._reads_whole_texts(engine.task):
            size = self.batch(engine.task, engine.context, gpus=engine.gpus)
            yield from (*self._default("batch-size", size), *self._default("ubatch-size", size))
        elif not engine.gpus:
            yield from self._default("batch-size", CPU_BATCH)

    def _default(self, argument: str, value: int | None) -> tuple[str, ...]:
        return () if argument in self.args else (f"--{argument}", str(value))
