"""A model's shape and chat template from its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from pydantic import ValidationError

from rackwright.shape.config import LIMIT, shape_of
from rackwright.shape.gguf import read_gguf
from rackwright.shape.gguf_shape import shape_of_gguf
from rackwright.shape.safetensors import read_safetensors
from rackwright.shape.shape import ModelShape, Weights
from rackwright.shape.source import ShapeError, Source, whole
from rackwright.shape.template import NONE, template_of_folder, template_of_gguf

_Header = TypeVar("_Header")


@dataclass(frozen=True)
class ModelFacts:
    """The facts in a model's files."""

    shape: ModelShape
    template: str
    """sha256 of the chat template; of nothing if there is none."""


_Reader = Callable[[Mapping[str, Source], list[str]], ModelFacts]


def read_shape(files: Mapping[str, Source]) -> ModelShape:
    """Return only the shape; see `read_model`."""
    return read_model(files).shape


def read_model(files: Mapping[str, Source]) -> ModelFacts:
    """Given the files of one model by path, return their facts. Reads only headers, config and template.

    If a file doesn't have the format that its name says, the shape's `unknown` says so. Raise the errors of a source.
    """
    if parts := sorted(path for path in files if path.endswith(".gguf")):
        return _read(files, parts, _gguf)
    weights = sorted(path for path in files if path.endswith(".safetensors"))
    return _read(files, _without_copies(weights), _safetensors)


def unreadable(files: Mapping[str, Source], why: str) -> ModelShape:
    """Return a shape that contains only the bytes of the weights."""
    total = sum(source.size for path, source in files.items() if path.endswith((".gguf", ".safetensors")))
    return ModelShape(architecture="unknown", unknown=why, weights=Weights(total=total, stored={}))


def _without_copies(paths: list[str]) -> list[str]:
    """Return the paths without copies: Mistral's repositories contain the weights twice, and engines skip one set."""
    plain = [path for path in paths if not PurePosixPath(path).name.startswith("consolidated")]
    return plain or paths


def _read(files: Mapping[str, Source], paths: list[str], reader: _Reader) -> ModelFacts:
    try:
        return reader(files, paths)
    except ShapeError as error:
        why = str(error)
    except ValidationError as error:
        why = f"its files contain numbers that no model has: {_first(error)}"
    return ModelFacts(unreadable({path: files[path] for path in paths}, why), NONE)


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{error.title} {'.'.join(map(str, first['loc']))} is {ascii(first['input'])[:60]}"


def _headers(files: Mapping[str, Source], paths: list[str], read: Callable[[Source], _Header]) -> Iterator[_Header]:
    for path in paths:
        try:
            yield read(files[path])
        except ShapeError as error:
            raise ShapeError(f"{path} {error}") from None


def _gguf(files: Mapping[str, Source], paths: list[str]) -> ModelFacts:
    headers = tuple(_headers(files, paths, read_gguf))
    return ModelFacts(shape_of_gguf(headers), template_of_gguf(headers[0]))


def _safetensors(files: Mapping[str, Source], paths: list[str]) -> ModelFacts:
    if not paths:
        raise ShapeError("it has no weights")
    tensors = [tensor for header in _headers(files, paths, read_safetensors) for tensor in header]
    folder = PurePosixPath(paths[0]).parent
    config = str(folder / "config.json")
    if config not in files:
        raise ShapeError("it has no config.json")
    try:
        shape = shape_of(whole(files[config], LIMIT), tensors)
    except ShapeError as error:
        raise ShapeError(f"{config} {error}") from None
    return ModelFacts(shape, template_of_folder(files, folder))
