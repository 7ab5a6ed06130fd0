"""Headers of model files, written for tests; the tensors' own bytes are left out or zero."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SIZES = {"BF16": 2, "F32": 4, "F8_E4M3": 1, "I32": 4, "U8": 1}


def safetensors(tensors: Mapping[str, tuple[str, Sequence[int]]]) -> bytes:
    """Given name → type and dimensions, return a file with tensors of zeros."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (kind, dimensions) in tensors.items():
        size = SIZES[kind]
        for dimension in dimensions:
            size *= dimension
        header[name] = {"dtype": kind, "shape": list(dimensions), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def gguf(
    metadata: Mapping[str, object],
    tensors: Mapping[str, tuple[int, Sequence[int]]] | None = None,
    *,
    version: int = 3,
) -> bytes:
    """Given metadata, and name → number of a type and dimensions, return a file's header."""
    tensors = tensors or {}
    content = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for name, value in metadata.items():
        content += _text(name) + _value(value)
    for name, (kind, dimensions) in tensors.items():
        content += _text(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, 0)
    return content


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _value(value: object) -> bytes:
    if isinstance(value, list | tuple):
        of, items = _array(value)
        return struct.pack("<IIQ", 9, of, len(value)) + items
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    return struct.pack("<I", 8) + _text(str(value))


def _array(items: Sequence[object]) -> tuple[int, bytes]:
    if all(isinstance(item, bool) for item in items):
        return 7, b"".join(struct.pack("<?", item) for item in items)
    if all(isinstance(item, int) for item in items):
        return 5, b"".join(struct.pack("<i", item) for item in items)
    return 8, b"".join(_text(str(item)) for item in items)


@dataclass
class Bytes:
    """A source that records what is read from it; `claims` is the size that it reports."""

    content: bytes
    claims: int | None = None
    read_so_far: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.content) if self.claims is None else self.claims

    def read(self, first: int, count: int) -> bytes:
        self.read_so_far.append((first, count))
        return self.content[first : first + count]

    @property
    def most(self) -> int:
        return max((count for _, count in self.read_so_far), default=0)
