"""GGUF files with all bytes of their tensors, as `lock` wants them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from rackwright.shape.gguf import read_gguf
from tests.shape.files import Bytes, gguf


def whole_gguf(metadata: Mapping[str, object], tensors: Mapping[str, tuple[int, Sequence[int]]]) -> bytes:
    """Return a file whose tensors are zeros, all at the same place."""
    header = gguf(metadata, tensors)
    return header + bytes(read_gguf(Bytes(header)).whole - len(header))


def with_last_at(content: bytes, offset: int) -> bytes:
    """Return a header whose last tensor begins at this offset in the tensors' data."""
    return content[:-8] + struct.pack("<Q", offset)
