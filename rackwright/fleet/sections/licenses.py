"""`licences`: which ones models may have."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator

from rackwright.values.text import Shape

Licence = Annotated[
    str,
    Shape(
        "[A-Za-z0-9][A-Za-z0-9 ./:+_()-]{0,95}",
        "should be an id as model cards have it, like apache-2.0; of `other`, its license_name",
    ),
    AfterValidator(str.lower),
]


def is_allowed(licence: str | None, licences: Collection[str]) -> bool:
    """Say whether a licence, or each of several, is one that the fleet file allows; without a list any is."""
    return not licences or (licence is not None and all(one in licences for one in licence.split(", ")))
