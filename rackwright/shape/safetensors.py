"""Headers of safetensors files: which tensors there are, of which type, in how many bytes.

https://github.com/huggingface/safetensors#format: eight bytes with the length of a JSON object (little-endian), then
that object, then the tensors' bytes, each tensor between its `data_offsets`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.shape.source import ShapeError, Source, exactly

LIMIT = 10 * 2**20
"""Bytes of a header: about 80,000 tensors, and what they may grow to in memory stays within some hundred MB. The
format allows ten times as many."""
FIRST = 256 * 2**10
"""Bytes that are read at once at first: the whole header of most files."""
TENSORS = 100_000
NESTED = 16
"""Levels; a header has three."""


@dataclass(frozen=True)
class Tensor:
    name: str
    type: str
    """As the file calls it, like BF16 or Q4_K."""
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
    for name, reply in header.items():
        if name == "__metadata__":
            continue
        fields = reply if isinstance(reply, dict) else {}
        kind, offsets = fields.get("dtype"), _offsets(fields.get("data_offsets"))
        if not isinstance(kind, str) or offsets is None:
            raise ShapeError("has a header that describes its tensors otherwise than the format does")
        first, end = offsets
        if not first <= end <= room:
            raise ShapeError("has a tensor that ends outside the file")
        yield Tensor(name, kind[:24], end - first)


def _offsets(value: object) -> tuple[int, int] | None:
    """Where a tensor begins and ends; None: that isn't told."""
    match value:
        case [int(first), int(end)] if first >= 0:
            return first, end
    return None
