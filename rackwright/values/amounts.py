"""Durations, sizes and ports."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema

import rackwright._fast_imports  # noqa: F401

_SIZES = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: object) -> int:
    """Given "10m" (s, m, h, d) or seconds, return whole seconds. Raise ValueError for other values."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = re.fullmatch(r"(\d{1,9})([smhd])", value) if isinstance(value, str) else None
    if not match:
        raise ValueError("should be a duration like 30s, 10m, 2h or 1d")
    return int(match[1]) * _SECONDS[match[2]]


def _written_duration(value: object, info: ValidationInfo) -> int:
    if info.mode == "json" and isinstance(value, int) and value:
        raise ValueError("should be a duration with a unit, like 30s, 10m, 2h or 1d")
    return parse_duration(value)


def _write_duration(seconds: int) -> str:
    return f"{seconds}s"


def parse_size(value: object) -> int:
    """Given "80GiB", "1.5G" or bytes, return whole bytes. Raise ValueError for other values."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = (
        re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?i?)b?", value.lower()) if isinstance(value, str) else None
    )
    if not match or match[2] == "i":
        raise ValueError("should be a size like 500M, 80GiB or 2TB")
    return int(float(match[1]) * _SIZES[match[2]])


MOST_TOKENS = 10**15


def parse_tokens(value: object) -> int:
    """Given "20M" (k, M, G) or a number of tokens, return whole tokens. Raise ValueError for other values."""
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str) and (match := re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)([kKMG]?)", value)):
        number = round(float(match[1]) * _SIZES[match[2].lower()])
    if number is None or not 1 <= number <= MOST_TOKENS:
        raise ValueError("should be a number of tokens like 500k, 20M or 1.5G")
    return number


def tokens_text(tokens: int) -> str:
    """Return the number as people write it: 20000000 is 20M, 1234 is 1234."""
    unit = next((unit for unit in ("g", "m", "k") if tokens % _SIZES[unit] == 0), "") if tokens else ""
    return f"{tokens // _SIZES[unit]}{unit if unit == 'k' else unit.upper()}"


Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[
    int,
    BeforeValidator(_written_duration),
    PlainSerializer(_write_duration, when_used="json"),
    WithJsonSchema({"type": ["string", "integer"], "pattern": "^[0-9]{1,9}[smhd]$", "maximum": 0}),
]
"""In YAML and JSON, a duration has a unit: `drain: 30` could mean 30 s or 30 min."""
Tokens = Annotated[
    int,
    BeforeValidator(parse_tokens),
    WithJsonSchema({"type": ["string", "integer"], "pattern": "^[0-9]{1,15}([.][0-9]{1,6})?[kKMG]?$", "minimum": 1}),
]
Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema({"type": ["string", "integer"]})]
