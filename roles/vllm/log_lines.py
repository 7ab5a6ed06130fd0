"""The lines that vLLM may log: how it loads, its load, and where in its source it failed. Others may quote requests.

Tested with 0.32.0. An exception's text is logged only if it is one of those below, because others quote prompts,
schemas and grammars. The lines of a traceback that name a file and a function are always logged.
"""

from __future__ import annotations

from rackwright.values.log_lines import CUDA_ERROR, ERROR, WORD, within

_PROCESS = r"(?:\((?:APIServer|EngineCore|Worker)(?:_[A-Z]{1,4}\d{0,4}){0,6} pid=\d{1,8}\) )?"
_STAMP = r"(?:(?:INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[a-z_./]{1,40}:\d{1,6}\] )?"
_NUMBER = r"[\d.,:]{1,24}"
_SIZE = rf"{_NUMBER} ?[KMGT]i?B"
_DEVICE = r"(?:cuda|cpu)(?::\d{1,3})?"
_KEY = r"'[a-z0-9_.-]{1,64}'"
_OUT_OF_MEMORY = (
    r"(?: (?:\d{1,10}(?:\.\d{1,4})?|GPU|KiB|MiB|GiB|Process|process|has|a|total|capacity|of|which|is|free|memory|in"
    r"|use|Including"
    r"|non-PyTorch|this|Of|the|allocated|by|PyTorch|and|reserved|but|unallocated|with|private|pools|If|large|try"
    r"|setting|PYTORCH_(?:CUDA_)?ALLOC_CONF=expandable_segments:True|to|avoid|fragmentation|See|documentation|for"
    r"|Memory|Management|\(https://[a-z./]{1,60}#[a-z-]{1,40}\)|\(e\.g\.|CUDA|Graphs\))[.,]?)*"
)
_PROGRESS = (
    "Traceback \\(most recent call last\\):",
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
    f"Resolved architecture: {WORD}",
    f"Using max model len {_NUMBER}",
    # A progress bar: one line with a carriage return before each of its states.
    r"(?:\r?Loading (?:safetensors|pt) checkpoint shards: +\d{1,3}% Completed \| \d{1,5}/\d{1,5} "
    r"\[[\d:<?, .]{1,32}(?:s/it|it/s)\])+",
    f"Loading weights took {_NUMBER} seconds",
    f"Model loading took {_SIZE}(?: memory)? and {_NUMBER} seconds",
    f"(?:Available KV cache memory: {_NUMBER} GiB|(?:GPU|CPU) KV cache size: {_NUMBER} tokens)"
    f"(?:, Maximum concurrency for {_NUMBER} tokens per request: {_NUMBER}x)?",
    rf"init engine \(profile, create kv cache, warmup model\) took {_NUMBER} s(?:econds)?"
    rf"(?: \(compilation: {_NUMBER} s\))?",
    r"Engine \d{3}: Avg prompt throughput: [\d.]{1,16} tokens/s, Avg generation throughput: [\d.]{1,16} tokens/s, "
    r"Running: \d{1,6} reqs, Waiting: \d{1,6} reqs, (?:GPU|CPU) KV cache usage: [\d.]{1,8}%, "
    r"Prefix cache hit rate: [\d.]{1,8}%",
    r"EngineCore failed to start\.",
    r"EngineCore encountered a fatal error\.",
    r"AsyncLLM output_handler failed\.",
    r"WorkerProc (?:failed to start|failed|hit an exception)\.",
    r"Application startup complete\.",
    r"Shutting down",
)
_MEMORY_SHARE = (
    rf"\({_NUMBER}, {_NUMBER} GiB\)\. "
    r"Decrease GPU memory utilization or reduce GPU memory used by other processes\."
)
_HELP = r"See https://docs\.vllm\.ai/en/latest/configuration/conserving_memory/ for more details\."
_EXCEPTIONS = (
    rf"(?:torch\.)?(?:cuda\.)?OutOfMemoryError: CUDA out of memory\. Tried to allocate {_SIZE}\.{_OUT_OF_MEMORY}",
    rf"(?:torch\.)?(?:AcceleratorError|RuntimeError): CUDA error: {CUDA_ERROR}",
    rf"RuntimeError: (?:No CUDA GPUs are available|CUDA driver initialization failed|NCCL error: {WORD})",
    r"RuntimeError: Failed to infer device type",
    rf"ValueError: Free memory on device {_DEVICE} \({_NUMBER}/{_NUMBER} GiB\) on startup is less than desired GPU "
    rf"memory utilization {_MEMORY_SHARE}",
    r"ValueError: No available memory for the cache blocks\. Try increasing `gpu_memory_utilization` when "
    r"initializing the engine \(this flag also controls CPU memory reservation on the CPU backend, despite its "
    rf"name\)\. {_HELP}",
    rf"ValueError: To serve at least one request with the model's max seq len \({_NUMBER}\), \({_NUMBER} GiB KV "
    rf"cache is needed, which is larger than the available KV cache memory \({_NUMBER} GiB\)\. (?:Based on the "
    rf"available memory, the estimated maximum model length is {_NUMBER} )?Try increasing `gpu_memory_utilization` "
    r"\(which also controls CPU memory on the CPU backend\) or decreasing `max_model_len` when initializing the "
    rf"engine\. {_HELP}",
    r"RuntimeError: Engine core initialization failed\. See root cause above\. "
    r"Failed core proc\(s\): \{(?:'\w{1,24}': -?\d{1,3}(?:, )?){0,16}\}",
    r"(?:vllm\.v1\.engine\.exceptions\.)?EngineDeadError: EngineCore encountered an issue\. "
    r"See stack trace \(above\) for the root cause\.",
    rf"(?:ImportError: )?{WORD}: cannot open shared object file: {ERROR}",
    rf"ModuleNotFoundError: No module named {_KEY}",
    rf"(?:[A-Za-z]{{1,24}}Error): \[Errno \d{{1,3}}\] {ERROR}(?:: '[\w./@+-]{{1,160}}')?",
    r"(?:safetensors\._safetensors_rust\.|safetensors_rust\.)?SafetensorError: Error while deserializing header: "
    r"(?:header too (?:small|large)|invalid header|invalid header deserialization|incomplete metadata, "
    r"file not fully covered|metadata incomplete buffer)",
    r"(?:Exception|RuntimeError): WorkerProc initialization failed due to an exception in a background process\. "
    r"See stack trace for root cause\.",
    "MemoryError",
    "KeyboardInterrupt",
)


_ARGUMENT = "--[a-z0-9-]{1,48}"
_USAGE = (
    rf"[\w.]{{1,32}}(?: serve)?: error: (?:unrecognized arguments: {_ARGUMENT}(?:=[\w./-]{{1,64}})?"
    rf"|argument {_ARGUMENT}(?:/-[\w-]{{1,48}})?: expected one argument)"
)


def log_lines(*folders: str) -> tuple[str, ...]:
    """Return the expressions of all lines that vLLM may log, given the folders with its source and Python's."""
    source = "|".join(map(within, folders))
    frame = rf'File "(?:{source}|<frozen [a-z._]{{1,40}}>)", line \d{{1,6}}, in [\w<>]{{1,64}}'
    lines = "|".join((*_PROGRESS, *_EXCEPTIONS, frame))
    return (f"{_PROCESS}{_STAMP} {{0,8}}(?:{lines})", _USAGE)
