"""The lines that llama-server may log: why it didn't start, and why it ended. All others may quote requests.

Tested with b10434: a rejected grammar is printed whole, line by line, whatever --log-verbosity is.
"""

from __future__ import annotations

import re

from rackwright.values.log_lines import CUDA_ERROR, ERROR, WORD

_STAMP = r"\d{1,6}\.\d\d\.\d{3}\.\d{3} E "
_FUNCTION = r"(?:[a-z]{2,4} {1,16})?[A-Za-z_]{1,48}: "
_TENSOR = r"tensor '[a-z0-9_.]{1,64}'"
_SIZE = r"\d{1,20}"
_ARGUMENT = "--[a-z0-9-]{1,48}"
_OPERAND = r"[\w.:()\[\]!*&>-]{1,48}"
_OPERATOR = r" (?:[=!<>]=|[<>+*/%-]|&&|\|\|) "
_SOURCE = r"(?:/(?:project|app|home|runner|work|build|tmp|llama\.cpp)){1,6}/(?:[a-z-]{1,16}/){1,4}[\w.-]{1,40}"
"""Where a release's builder had the source."""
_NO_MODEL = (
    rf"unknown model architecture: '{WORD}'",
    rf"error loading model architecture: unknown model architecture: '{WORD}'",
    rf"error loading model (?:hyperparameters|vocabulary): key not found in model: {WORD}",
    rf"error loading model vocabulary: unknown pre-tokenizer type: '{WORD}'",
    rf"error loading model vocabulary: unknown tokenizer: '{WORD}'",
    "error loading model vocabulary: cannot find tokenizer (?:merges|vocab) in model file",
    rf"{_TENSOR} data is not within the file bounds, model is corrupted or incomplete",
    rf"missing {_TENSOR}",
    rf"check_tensor_dims: {_TENSOR} not found",
    rf"check_tensor_dims: {_TENSOR} has wrong shape; expected [\d, ]{{1,60}}, got [\d, ]{{1,60}}",
    rf"done_getting_tensors: wrong number of tensors; expected {_SIZE}, got {_SIZE}",
    rf"unable to allocate {WORD} buffer",
    f"(?:mmap failed|read error|lseek error|ftell error): {ERROR}",
    "CLIP cannot be used as main model, use it with --mmproj instead",
)
_MESSAGES = (
    "exiting due to (?:model loading|HTTP server) error",
    r"couldn't bind HTTP server socket, hostname: /run/rackwright/[a-z0-9@-]{1,28}/engine\.sock, port: \d{1,5}",
    "failed to load model",
    "encountered an error while trying to fit params to free device memory: "
    "failed to (?:load model|create llama_context from model)",
    r"invalid magic characters: '.{4}', expected 'GGUF'",
    "failed to read (?:header|magic|version|key-value pairs|tensor info|tensor data)",
    rf"string length {_SIZE} exceeds remaining file size {_SIZE} bytes",
    "quantized V cache requires flash_attn to be enabled",
    r"insufficient memory \(attempted to allocate {1,8}[\d.]{1,16} MB\)",
    rf"failed to allocate (?:{WORD} )?buffer of size {_SIZE}",
    "failed to allocate (?:buffer for kv cache|compute buffers|compute pp buffers|graph)",
    "failed to initialize the context: failed to allocate (?:buffer for kv cache|compute pp buffers)",
    rf"allocating [\d.]{{1,16}} MiB on device \d{{1,3}}: cudaMalloc failed: {CUDA_ERROR}",
    f"(?:failed to initialize CUDA|CUDA error): {CUDA_ERROR}",
    r"failed to (?:decode|encode), ret = -?\d{1,6}",
    rf"failed to find a memory slot for batch of size {_SIZE}",
    r"warning: failed to mlock \d{1,20}-byte buffer \(after previously locking \d{1,20} bytes\): " + ERROR,
)
_PLAIN = (
    f"error: invalid argument: {_ARGUMENT}",
    f'error while handling argument "{_ARGUMENT}": (?:stoi|stol|stof|invalid value|expected value for argument)',
    rf"{_SOURCE}:\d{{1,6}}: (?:CUDA error|fatal error)",
    rf"{_SOURCE}:\d{{1,6}}: GGML_ASSERT\({_OPERAND}(?:{_OPERATOR}{_OPERAND}){{0,6}}\) failed",
    "terminate called after throwing an instance of 'std::[a-z_:]{1,40}'",
    "terminate called (?:without an active exception|recursively)",
)


def log_lines(program: str, model: str) -> tuple[str, ...]:
    """Return the expressions of all lines that llama-server may log, given its path and its model's."""
    file = f"'?{_parts(model)}'?"
    about_file = (
        f"failed to load model,? {file}",
        rf"failed to create(?: |_)context with model {file}",
        rf"failed to open GGUF file {file} \({ERROR}\)",
        f"failed to load GGUF split from {file}",
    )
    no_model = (*_NO_MODEL, f"llama_model_loader: failed to load model from {file}")
    messages = (*_MESSAGES, *about_file, f"error loading model: (?:{'|'.join(no_model)})")
    loader = (
        f"{re.escape(program)}: error while loading shared libraries: {WORD}: "
        f"cannot open shared object file: {ERROR}",
        rf"{re.escape(program)}: [\w./-]{{1,80}}: version `{WORD}' not found \(required by [\w./-]{{1,160}}\)",
        rf"{re.escape(program)}: symbol lookup error: [\w./-]{{1,160}}: undefined symbol: \w{{1,200}}",
    )
    return (f"{_STAMP}(?:{_FUNCTION})?(?:{'|'.join(messages)})", *_PLAIN, *loader)


def _parts(model: str) -> str:
    """Return the expression for a model's file, and for its other files if it is one of several."""
    return re.sub(r"\d{5}(?=(?:\\-|-)of(?:\\-|-)\d{5}(?:\\\.|\.)gguf$)", r"\\d{5}", re.escape(model))
