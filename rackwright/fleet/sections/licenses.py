"""`licences`: which ones models may have."""

from __future__ import annotations

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
