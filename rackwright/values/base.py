"""Bases of what people write and of what an earlier version of the tool wrote."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

import rackwright._fast_imports  # noqa: F401


class Frozen(BaseModel):
    """Base of what people write: unknown keys are errors, values don't change."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Stored(BaseModel):
    """Base of what an earlier version of the tool wrote: unknown keys are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
