"""Lines of a migration's folder."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from rackwright.errors import RackwrightError
from rackwright.values.base import Stored

_Line = TypeVar("_Line", bound=Stored)


def parsed(part: str, line: str, kind: type[_Line]) -> _Line:
    """Return what the line has. Raise RackwrightError, without its text, if it is no such line; `part`: its file's
    kind."""
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the line"
        raise RackwrightError(
            f"a line can't be read: {where}: {first['msg']}",
            where=part,
            should="should be as it was written",
            next="restore the folder from a copy, or replay or import again",
        ) from None
