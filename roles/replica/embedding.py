"""The golden embedding: an engine's vector for a fixed text."""

from __future__ import annotations

import json
import math

from rackwright.roles.replica.answer import Compared
from rackwright.values.base import Stored

TEXT = "Red, orange and yellow are colors of the rainbow."
EMBEDDING_VERSION = 1
"""Increased when the text or anything else in the request changes, or what is kept of the answer."""
KEPT = 64
"""Numbers of a vector that are kept and compared: other weights or settings change them all."""
LEAST_ALIKE = 0.999
"""The lowest cosine of two vectors that count as the same. Rounding depends on the kernel, the batch and the GPU."""


class Embedding(Stored):
    size: int
    """The length of the vector."""
    numbers: tuple[float, ...]
    """The first ones."""

    @property
    def short(self) -> str:
        return f"an embedding of {self.size} numbers"


def embedding_body(served_name: str) -> str:
    """Return the request, JSON for /v1/embeddings of vLLM and llama-server."""
    return json.dumps({"model": served_name, "input": TEXT, "encoding_format": "float"})


def parse_embedding(output: str) -> Embedding | None:
    """Given the engine's output, return its embedding, or None if there is none."""
    try:
        vector = [float(number) for number in json.loads(output)["data"][0]["embedding"]]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    # A vector without a direction is what a broken engine returns.
    if not any(vector[:KEPT]) or not all(map(math.isfinite, vector)):
        return None
    return Embedding(size=len(vector), numbers=tuple(vector[:KEPT]))


def compare_embeddings(recorded: Embedding, found: Embedding) -> Compared:
    """Return whether the two point in the same direction, up to rounding."""
    if recorded.size != found.size:
        return Compared(False, f"{recorded.size} numbers before, {found.size} now")
    cosine = _cosine(recorded.numbers, found.numbers)
    if cosine >= LEAST_ALIKE:
        return Compared(True)
    return Compared(False, f"their cosine is {cosine:.4f}, and the same weights give at least {LEAST_ALIKE}")


def _cosine(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(_unit(one), _unit(other), strict=True))


def _unit(vector: tuple[float, ...]) -> tuple[float, ...]:
    length = math.hypot(*vector)
    return tuple(number / length for number in vector)
