"""A model's shape from its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from rackwright.shape.config import LIMIT, shape_of
from rackwright.shape.gguf import read_gguf
from rackwright.shape.gguf_shape import shape_of_gguf
from rackwright.shape.safetensors import Tensor, read_safetensors
from rackwright.shape.shape import ModelShape, Weights
from rackwright.shape.source import ShapeError, Source, exactly

_Reader = Callable[[Mapping[str, Source], list[str]], ModelShape]


def read_shape(files: Mapping[str, Source]) -> ModelShape:
    """Given the files of one model by path, return its shape; only headers and config.json are read.

    Files that aren't what their names say give a shape that tells so in `unknown`. Raise what a source raises.
    """
    if parts := sorted(path for path in files if path.endswith(".gguf")):
        return _read(files, parts, _gguf)
    weights = sorted(path for path in files if path.endswith(".safetensors"))
    return _read(files, _without_copies(weights), _safetensors)


def unreadable(files: Mapping[str, Source], why: str) -> ModelShape:
    """Return a shape that knows nothing but how many bytes the weights have."""
    total = sum(source.size for path, source in files.items() if path.endswith((".gguf", ".safetensors")))
    return ModelShape(architecture="unknown", unknown=why, weights=Weights(total=total, stored={}))


def _without_copies(paths: list[str]) -> list[str]:
    """Mistral's repositories have the same weights twice; engines load those that transformers would."""
    plain = [path for path in paths if not PurePosixPath(path).name.startswith("consolidated")]
    return plain or paths


def _read(files: Mapping[str, Source], paths: list[str], reader: _Reader) -> ModelShape:
    try:
        return reader(files, paths)
    except ShapeError as error:
        return unreadable({path: files[path] for path in paths}, str(error))


def _gguf(files: Mapping[str, Source], paths: list[str]) -> ModelShape:
    parts = []
    for path in paths:
        try:
            parts.append(read_gguf(files[path]))
        except ShapeError as error:
            raise ShapeError(f"{path} {error}") from None
    return shape_of_gguf(parts)


def _safetensors(files: Mapping[str, Source], paths: list[str]) -> ModelShape:
    if not paths:
        raise ShapeError("it has no weights")
    tensors: list[Tensor] = []
    for path in paths:
        try:
            tensors += read_safetensors(files[path])
        except ShapeError as error:
            raise ShapeError(f"{path} {error}") from None
    config = str(PurePosixPath(paths[0]).parent / "config.json")
    if config not in files:
        raise ShapeError("it has no config.json")
    try:
        return shape_of(_whole(files[config]), tensors)
    except ShapeError as error:
        raise ShapeError(f"{config} {error}") from None


def _whole(source: Source) -> bytes:
    if source.size > LIMIT:
        raise ShapeError(f"is larger than {LIMIT // 2**20} MiB")
    return exactly(source, 0, source.size)
