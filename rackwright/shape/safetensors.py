"""Headers of safetensors files: the tensors with their types and bytes.

https://github.com/huggingface/safetensors#format: eight bytes with the length of a JSON object (little-endian), then
that object, then the tensors' bytes, each tensor between its `data_offsets`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.shape.source import ShapeError, Source, exactly

LIMIT = 10 * 2**20
"""Most bytes of a header: enough for about 80,000 tensors, which need some hundred MB of memory. The format allows
ten times as many."""
FIRST = 256 * 2**10
"""Bytes of the first read, which contain the whole header of most files."""
TENSORS = 100_000
NESTED = 16
"""Most levels of nesting; a header has three."""


@dataclass(frozen=True)
class Tensor:
    name: str
    type: str
    """The file's name for it, like BF16 or Q4_K."""
    size: int
    """Bytes."""


def read_safetensors(source: Source) -> tuple[Tensor, ...]:
    """Return the tensors of one file. Raise ShapeError if it isn't a safetensors file."""
    begin = exactly(source, 0, min(source.size, FIRST))
    length = int.from_bytes(begin[:8], "little")
    if not 2 <= length <= min(LIMIT, source.size - 8):
        raise ShapeError(f"has a header of {length} bytes, so it isn't a safetensors file")
    if missing := 8 + length - len(begin):
        begin += exactly(source, len(begin), missing) if missing > 0 else b""
    header = parse_object(begin[8 : 8 + length])
    if len(header) > TENSORS:
        raise ShapeError(f"lists {len(header)} tensors; no model has more than {TENSORS}")
    return tuple(_tensors(header, source.size - 8 - length))


def parse_object(content: bytes) -> dict[str, object]:
    """Return a JSON object. Raise ShapeError if the content isn't one, or is nested too deeply."""
    if _depth(content) > NESTED:
        raise ShapeError("is nested too deeply to belong to a model")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ShapeError("is not valid JSON") from None
    if not isinstance(found, dict):
        raise ShapeError("is not a JSON object")
    return found


def _depth(content: bytes) -> int:
    """Return the depth of brackets, also in strings: names have few, and thousands would break the parser."""
    deepest = depth = 0
    for byte in content.translate(None, delete=_PLAIN):
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


_PLAIN = bytes(byte for byte in range(256) if byte not in b"[]{}")


def _tensors(header: dict[str, object], room: int) -> Iterator[Tensor]:
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        fields = entry if isinstance(entry, dict) else {}
        kind, offsets = fields.get("dtype"), _offsets(fields.get("data_offsets"))
        if not isinstance(kind, str) or offsets is None:
            raise ShapeError("has a header whose tensors don't follow the format")
        first, end = offsets
        if not first <= end <= room:
            raise ShapeError("has a tensor that ends outside the file")
        yield Tensor(name, kind[:24], end - first)


def _offsets(value: object) -> tuple[int, int] | None:
    """Return the start and end of a tensor; None if they aren't valid."""
    match value:
        case [int(first), int(end)] if first >= 0:
            return first, end
    return None
