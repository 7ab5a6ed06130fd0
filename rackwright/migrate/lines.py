"""Lines of a migration's folder, read as what they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from pydantic import ValidationError

from rackwright.errors import RackwrightError
from rackwright.migrate.file_kind import FileKind
from rackwright.migrate.folder import Folder
from rackwright.values.base import Stored

Line = TypeVar("Line", bound=Stored)


def lines_in(folder: Folder, kind: FileKind, model: type[Line]) -> Iterator[tuple[str, Line]]:
    """Yield each line of this kind, with the name of its file. Raise RackwrightError if one can't be read."""
    for name, _ in folder.of(kind):
        for number, line in enumerate(folder.lines(name), 1):
            yield name, parsed(line, model, f"{folder.path / name} line {number}")


def parsed(line: str, model: type[Line], where: str) -> Line:
    """Return what the line has. Raise RackwrightError, without its text, if it is no such line."""
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "the line"
        raise RackwrightError(
            f"a line can't be read: {field}: {first['msg']}",
            where=where,
            should="should be as it was written",
            next="restore the folder from a copy, or replay or import again",
        ) from None
