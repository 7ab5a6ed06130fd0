"""rackwright's stored formats: each has `format: <kind>/1`; newer ones are refused, unknown keys are ignored."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import AfterValidator, AwareDatetime, PlainSerializer, ValidationError

from rackwright.errors import RackwrightError
from rackwright.values.base import Stored

VERSION = 1
_YEARS = range(1970, 9999)
Model = TypeVar("Model", bound=Stored)


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def utc_now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _sane(moment: datetime) -> datetime:
    # datetime can't convert its first and last days to another time zone.
    if moment.year not in _YEARS:
        raise ValueError(f"the year should be {_YEARS.start} to {_YEARS.stop - 1}")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_sane), PlainSerializer(stamp, return_type=str)]
"""A time to the second, written in UTC."""


class NewerFormat(RackwrightError):
    """A newer rackwright wrote it."""


def kind_of(text: str) -> str | None:
    """Return the kind of a stored document, None if it doesn't name one."""
    return found[0] if (found := _written(text)) else None


def _written(text: str) -> tuple[str, int] | None:
    """Return the kind and the version that a document was written in."""
    found = re.search(r'"format"\s*:\s*"([a-z-]+)/([0-9]{1,9})"', text)
    return (found[1], int(found[2])) if found else None


def parse(model: type[Model], kind: str, text: str, where: str) -> Model:
    """Parse JSON of a stored format. Raise RackwrightError if it is damaged, NewerFormat if it is too new."""
    written = _written(text)
    if written and written[0] == kind and written[1] > VERSION:
        raise NewerFormat(
            f"was written by a newer rackwright ({kind}/{written[1]})",
            where=where,
            should=f"this rackwright reads up to {kind}/{VERSION}",
            next="install the newer version of rackwright",
        )
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise RackwrightError(
            f"is damaged: {first['msg']}", where=where, should=f"should be of format {kind}/{VERSION}"
        ) from None
