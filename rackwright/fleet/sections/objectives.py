"""`objectives` of a model: its service-level objectives, and the load for testing them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from rackwright.values.base import Frozen

_UNITS = {"ms": 1, "s": 1000, "m": 60_000}


def parse_milliseconds(value: object) -> int:
    """Given "100ms", "1.5s" or "2m", return whole milliseconds. Raise ValueError for other values."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m)", value) if isinstance(value, str) else None
    if not match:
        raise ValueError("should be a time like 100ms, 1.5s or 2m")
    return round(float(match[1]) * _UNITS[match[2]])


def parse_share(value: object) -> float:
    """Given "1%" or "0.5%", return the share, 0.01 or 0.005. Raise ValueError for other values."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3})?)%", value) if isinstance(value, str) else None
    share = float(match[1]) / 100 if match else 2
    if share > 1:
        raise ValueError("should be a share from 0% to 100%, like 0.5%")
    return share


_TIME = WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,6}([.][0-9]{1,3})?(ms|s|m)$"})
Milliseconds = Annotated[int, BeforeValidator(parse_milliseconds), Field(ge=1), _TIME]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,3}([.][0-9]{1,3})?%$"}),
]


class Objectives(Frozen):
    ttft_p95: Milliseconds | None = None
    """The limit for the 95th percentile of the time to the first token."""
    tpot_p95: Milliseconds | None = None
    """The limit for the 95th percentile of the time per output token after the first, averaged over each request."""
    latency_p95: Milliseconds | None = None
    """The limit for the 95th percentile of the time of the whole answer."""
    errors: Share | None = None
    """The share of requests that may fail."""
    rate: Annotated[float, Field(gt=0, le=10_000)] = 1
    """The load under which the objectives must be met, in requests per second at even intervals."""
    requests: Annotated[int, Field(ge=20, le=100_000)] = 100
    """The number of requests to send; a 95th percentile needs at least 20."""
    prompt_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 256
    """Tokens in each request; approximate, because every model has its own tokenizer."""
    answer_tokens: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Tokens in each answer; exact."""

    @model_validator(mode="after")
    def _has_one(self) -> Objectives:
        if all(value is None for value in (self.ttft_p95, self.tpot_p95, self.latency_p95, self.errors)):
            raise ValueError("has no objective; should have one of ttft_p95, tpot_p95, latency_p95, errors")
        return self
