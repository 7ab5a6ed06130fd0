"""Headers of safetensors files: which tensors there are, of which type, in how many bytes.

https://github.com/huggingface/safetensors#format: eight bytes with the length of a JSON object (little-endian), then
that object, then the tensors' bytes, each tensor between its `data_offsets`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from rackwright.shape.source import ShapeError, Source, exactly

LIMIT = 10 * 2**20
"""Bytes of a header: about 80,000 tensors, and what they may grow to in memory stays within some hundred MB. The
format allows ten times as many."""
FIRST = 256 * 2**10
"""Bytes that are read at once at first: the whole header of most files."""
TENSORS = 100_000
DIMENSIONS = 16
NESTED = 16
"""Levels; a header has three."""


@dataclass(frozen=True)
class Tensor:
    name: str
    type: str
    """As the file calls it, like BF16 or Q4_K."""
    elements: int
    size: int
    """Bytes."""


def read_safetensors(source: Source) -> tuple[Tensor, ...]:
    """Return the tensors of one file. Raise ShapeError if it is none."""
    begin = exactly(source, 0, min(source.size, FIRST))
    length = int.from_bytes(begin[:8], "little")
    if not 2 <= length <= min(LIMIT, source.size - 8):
        raise ShapeError(f"has a header of {length} bytes, so it is no safetensors file")
    if missing := 8 + length - len(begin):
        begin += exactly(source, len(begin), missing) if missing > 0 else b""
    header = parse_object(begin[8 : 8 + length])
    if len(header) > TENSORS:
        raise ShapeError(f"names {len(header)} tensors; no model has more than {TENSORS}")
    return tuple(_tensors(header, source.size - 8 - length))


def parse_object(content: bytes) -> dict[str, object]:
    """Return a JSON object. Raise ShapeError if it is none, or nested as no header or config is."""
    if _depth(content) > NESTED:
        raise ShapeError("is nested too deep to be a model's")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ShapeError("is not valid JSON") from None
    if not isinstance(found, dict):
        raise ShapeError("is no JSON object")
    return found


def _depth(content: bytes) -> int:
    """Brackets within strings count too: a name has few, and Python's parser must not see thousands."""
    deepest = depth = 0
    for byte in content.translate(None, delete=_PLAIN):
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


_PLAIN = bytes(byte for byte in range(256) if byte not in b"[]{}")


def _tensors(header: dict[str, object], room: int) -> Iterator[Tensor]:
    for name, told in header.items():
        if name == "__metadata__":
            continue
        fields = told if isinstance(told, dict) else {}
        kind, offsets, dimensions = fields.get("dtype"), _numbers(fields.get("data_offsets")), fields.get("shape")
        if not isinstance(kind, str) or len(offsets) != 2:
            raise _strange()
        first, end = offsets
        if not first <= end <= room:
            raise ShapeError("has a tensor that ends outside the file")
        yield Tensor(name, kind[:24], prod(_numbers(dimensions)), end - first)


def _numbers(value: object) -> list[int]:
    """Return a short list of numbers. Raise ShapeError if it is none."""
    if not isinstance(value, list) or len(value) > DIMENSIONS:
        raise _strange()
    if not all(isinstance(number, int) and 0 <= number < 2**53 for number in value):
        raise _strange()
    return [int(number) for number in value]


def _strange() -> ShapeError:
    return ShapeError("has a header that describes its tensors otherwise than the format does")
