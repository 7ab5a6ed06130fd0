"""`licenses`: the licenses that models may have."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator

from rackwright.values.text import Shape

License = Annotated[
    str,
    Shape(
        "[A-Za-z0-9][A-Za-z0-9 ./:+_()-]{0,95}",
        "should be an id from model cards, like apache-2.0; for `other`, its license_name",
    ),
    AfterValidator(str.lower),
]


def is_allowed(license: str | None, licenses: Collection[str]) -> bool:
    """Return whether the fleet file allows a license, or each of several; without a list it allows any."""
    return not licenses or (license is not None and all(one in licenses for one in license.split(", ")))
