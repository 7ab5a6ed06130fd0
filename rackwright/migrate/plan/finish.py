"""`finish` of a migration plan: when the migration may end, and what it may leave at the provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from rackwright.migrate.export.kinds import KINDS, WEIGHTS
from rackwright.values.amounts import Seconds
from rackwright.values.base import Frozen
from rackwright.values.text import Line, enumerated

_KINDS = (*KINDS, WEIGHTS)


def _kind(name: str) -> str:
    if name not in _KINDS:
        raise ValueError(f"is no kind of objects; should be one of {enumerated(_KINDS)}")
    return name


class Finish(Frozen):
    """When the migration may end."""

    quiet: Annotated[Seconds, Field(ge=0, le=31_536_000)] = 1_209_600
    """For how long the cloud must have had no request and no share."""
    recheck: Annotated[Seconds, Field(ge=86_400, le=31_536_000)] = 2_592_000
    """How long after the end the provider is asked again whether everything is still gone."""
    no_recheck: Line | None = None
    """Why nobody asks again; then no `provider.admin_key` is needed."""
    waivers: Mapping[Annotated[str, AfterValidator(_kind)], Line] = {}
    """A kind of objects → why those of it that can't be exported may stay at the provider, without a copy."""
