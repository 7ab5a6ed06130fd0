"""Base classes for files that people write and for files that rackwright writes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

import rackwright._fast_imports  # noqa: F401


class Frozen(BaseModel):
    """Base for data that people write: unknown keys are errors, values don't change."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Stored(BaseModel):
    """Base for data that any version of rackwright has written: unknown keys are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
