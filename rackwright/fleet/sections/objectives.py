"""`objectives` of a model: what its service must keep to, and under which load that is tried."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from rackwright.values.base import Frozen

_UNITS = {"ms": 1, "s": 1000, "m": 60_000}


def parse_milliseconds(value: object) -> int:
    """Given "100ms", "1.5s" or "2m", return whole milliseconds. Raise ValueError if it is none of these."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m)", value) if isinstance(value, str) else None
    if not match:
        raise ValueError("should be a time like 100ms, 1.5s or 2m")
    return round(float(match[1]) * _UNITS[match[2]])


def parse_share(value: object) -> float:
    """Given "1%" or "0.5%", return the share, 0.01 or 0.005. Raise ValueError if it is none."""
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
    """Time to the first token that 95 of 100 requests may not exceed."""
    tpot_p95: Milliseconds | None = None
    """The same for the time per output token after the first, each request's mean."""
    latency_p95: Milliseconds | None = None
    """The same for the whole answer."""
    errors: Share | None = None
    """Share of requests that may fail."""
    rate: Annotated[float, Field(gt=0, le=10_000)] = 1
    """Requests a second, one after the other at even distances, under which the objectives must hold."""
    requests: Annotated[int, Field(ge=20, le=100_000)] = 100
    """How many are sent; by fewer than 20 the 95th of 100 can't be told."""
    prompt_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 256
    """Of each request, nearly: every model counts otherwise."""
    answer_tokens: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Of each answer, exactly."""

    @model_validator(mode="after")
    def _has_one(self) -> Objectives:
        if all(value is None for value in (self.ttft_p95, self.tpot_p95, self.latency_p95, self.errors)):
            raise ValueError("has no objective; should have one of ttft_p95, tpot_p95, latency_p95, errors")
        return self
