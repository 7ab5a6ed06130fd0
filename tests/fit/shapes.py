"""Shapes for tests: tiny models, published ones, and plain ones of given sizes."""

from __future__ import annotations

import json
from typing import Any

from rackwright.fit.published import PUBLISHED
from rackwright.shape.config import shape_of
from rackwright.shape.shape import Layers, ModelShape, Weights
from tests.fit.tiny import TINY

GIB = 2**30


def of_config(config: dict[str, Any]) -> ModelShape:
    shape = shape_of(json.dumps(config).encode(), ())
    assert shape.unknown is None
    return shape


def tiny(name: str) -> ModelShape:
    return of_config(TINY[name])


def published(name: str) -> ModelShape:
    (one,) = [one for one in PUBLISHED if one.name == name]
    return of_config(dict(one.config))


def plain(**changed: Any) -> ModelShape:
    """Ten GiB of weights, and 32 layers with 8 heads of 128: 128 KiB per token in 16 bits."""
    made = ModelShape(
        architecture="llama",
        weights=Weights(total=10 * GIB, stored={"BF16": 10 * GIB}, embedding=GIB, head=GIB),
        layers=(Layers(kind="full", count=32, heads=8, key=128, value=128),),
        hidden=4096,
        intermediate=14_336,
        heads=32,
        vocabulary=128_256,
        context=131_072,
    )
    return made.model_copy(update=changed)
