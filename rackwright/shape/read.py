"""A model's shape from its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import TypeVar

from pydantic import ValidationError

from rackwright.shape.config import LIMIT, shape_of
from rackwright.shape.gguf import read_gguf
from rackwright.shape.gguf_shape import shape_of_gguf
from rackwright.shape.safetensors import read_safetensors
from rackwright.shape.shape import ModelShape, Weights
from rackwright.shape.source import ShapeError, Source, exactly

_Reader = Callable[[Mapping[str, Source], list[str]], ModelShape]
_Header = TypeVar("_Header")


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
        why = str(error)
    except ValidationError as error:
        why = f"its files tell of numbers that no model has: {_first(error)}"
    return unreadable({path: files[path] for path in paths}, why)


def _first(error: ValidationError) -> str:
    told = error.errors(include_url=False)[0]
    return f"{error.title} {'.'.join(map(str, told['loc']))} is {ascii(told['input'])[:60]}"


def _headers(files: Mapping[str, Source], paths: list[str], read: Callable[[Source], _Header]) -> Iterator[_Header]:
    for path in paths:
        try:
            yield read(files[path])
        except ShapeError as error:
            raise ShapeError(f"{path} {error}") from None


def _gguf(files: Mapping[str, Source], paths: list[str]) -> ModelShape:
    return shape_of_gguf(tuple(_headers(files, paths, read_gguf)))


def _safetensors(files: Mapping[str, Source], paths: list[str]) -> ModelShape:
    if not paths:
        raise ShapeError("it has no weights")
    tensors = [tensor for header in _headers(files, paths, read_safetensors) for tensor in header]
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
