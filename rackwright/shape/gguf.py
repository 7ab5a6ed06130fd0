"""GGUF headers: metadata and tensors of one file, read by ranges.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian). Bytes of each type's
blocks: ggml/src/ggml-common.h, as gguf-py/gguf/constants.py (GGML_QUANT_SIZES) lists them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from rackwright.shape.safetensors import TENSORS, Tensor
from rackwright.shape.source import ShapeError, Source

Scalar = int | float | bool | str
Value = Scalar | tuple[Scalar, ...]

CHUNK = 2**20
"""Bytes of the first read; each further read is twice as large, up to `LONGEST`."""
LONGEST = 8 * 2**20
LIMIT = 64 * 2**20
"""Most bytes of a header; a large vocabulary takes about 16 MB."""
KEYS = 1000
STRING = 2**20
"""Most bytes of a string that is read; chat templates have a few kB."""
KEPT = 4096
"""Most items of an array that is kept: enough for per-layer numbers, but not for vocabularies."""
ITEMS = 4 * 10**6
"""Most items of an array; the largest vocabularies have some hundred thousand."""
DIMENSIONS = 8
ALIGNMENT = 32
"""Of the tensors' data, unless the file says another."""

_BLOCKS = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}
"""Number of a type → its name, and the elements and bytes of a block."""
_FIXED = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class Gguf:
    metadata: Mapping[str, Value]
    lengths: Mapping[str, int]
    """Number of items of each array, including arrays whose items aren't kept."""
    tensors: tuple[Tensor, ...]
    header: int
    """Approximate bytes before the tensors' data."""
    whole: int
    """Bytes of the file with all of its tensors. A file that has fewer was cut off."""


def read_gguf(source: Source) -> Gguf:
    """Return the content of one file's header. Raise ShapeError if it isn't GGUF, or is too large."""
    reader = _Reader(source)
    if reader.take(4) != b"GGUF":
        raise ShapeError("doesn't start with GGUF")
    version = reader.number("<I")
    if version not in (2, 3):
        raise ShapeError(f"is GGUF of version {version}; 2 and 3 are known here")
    tensors, keys = reader.bounded("<Q", TENSORS, "tensors"), reader.bounded("<Q", KEYS, "keys")
    metadata: dict[str, Value] = {}
    lengths: dict[str, int] = {}
    for _ in range(keys):
        name = reader.text()
        metadata[name], length = _value(reader)
        if length is not None:
            lengths[name] = length
    found = [_tensor(reader) for _ in range(tensors)]
    length = max((offset + tensor.size for tensor, offset in found), default=0)
    whole = _aligned(reader.at, metadata.get("general.alignment")) + length if found else reader.at
    return Gguf(metadata, lengths, tuple(tensor for tensor, _ in found), reader.at, whole)


def _aligned(at: int, alignment: Value | None) -> int:
    """Return where the tensors' data begins."""
    step = alignment if isinstance(alignment, int) and alignment > 0 else ALIGNMENT
    return -(-at // step) * step


class _Reader:
    """Reads forward in chunks, never back."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._size = min(source.size, LIMIT)
        self._first = 0
        self._content = b""
        self._chunk = CHUNK
        self.at = 0

    def take(self, count: int) -> bytes:
        if count > self._size - self.at:
            raise ShapeError("ends in the middle of its header, or has a header that is too long")
        if self.at + count > self._first + len(self._content):
            self._first, self._content = self.at, self._source.read(self.at, max(count, self._chunk))
            self._chunk = min(2 * self._chunk, LONGEST)
        offset = self.at - self._first
        content = self._content[offset : offset + count]
        if len(content) != count:
            raise ShapeError("ends in the middle of its header")
        self.at += count
        return content

    def skip(self, count: int) -> None:
        if count > self._size - self.at:
            raise ShapeError("has an array that ends outside the file, or is too long")
        self.at += count
        if self.at > self._first + len(self._content):
            self._first, self._content = self.at, b""

    def number(self, form: str) -> int:
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(value)

    def bounded(self, form: str, most: int, what: str) -> int:
        if (number := self.number(form)) > most:
            raise ShapeError(f"says it has {number} {what}; none has more than {most}")
        return number

    def text(self) -> str:
        return self.take(self.bounded("<Q", STRING, "bytes in a string")).decode(errors="replace")

    def skip_text(self) -> None:
        self.skip(self.number("<Q"))


def _value(reader: _Reader) -> tuple[Value, int | None]:
    """Return a value, and its number of items if it is an array. An array that is too long or nested is empty."""
    kind = reader.number("<I")
    if kind != _ARRAY:
        return _scalar(reader, kind), None
    of, count = reader.number("<I"), reader.bounded("<Q", ITEMS, "items in an array")
    if of == _STRING:
        for _ in range(count):
            reader.skip_text()
        return (), count
    if of in _FIXED and count > KEPT:
        reader.skip(count * struct.calcsize(_FIXED[of]))
        return (), count
    return tuple(_scalar(reader, of) for _ in range(min(count, KEPT + 1))), count


def _scalar(reader: _Reader, kind: int) -> Scalar:
    if kind == _STRING:
        return reader.text()
    if kind not in _FIXED:
        raise ShapeError(f"has a value of type {kind}, which isn't valid here")
    form = _FIXED[kind]
    (value,) = struct.unpack(form, reader.take(struct.calcsize(form)))
    found: Scalar = value
    return found


def _tensor(reader: _Reader) -> tuple[Tensor, int]:
    """Return a tensor, and where it begins in the tensors' data."""
    name = reader.text()
    dimensions = [reader.number("<Q") for _ in range(reader.bounded("<I", DIMENSIONS, "dimensions"))]
    kind, offset = reader.number("<I"), reader.number("<Q")
    elements = prod(dimensions)
    if kind not in _BLOCKS or elements >= 2**53:
        raise ShapeError(f"has the tensor {name[:80]!a} of a type ({kind}) or size that isn't known here")
    called, block, size = _BLOCKS[kind]
    return Tensor(name, called, -(-elements // block) * size), offset
