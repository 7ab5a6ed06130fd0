"""The lines of an export's list: what is there of each object, or why it isn't, and how each run ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from rackwright.errors import RackwrightError
from rackwright.values.base import Stored
from rackwright.values.text import Sha256

PART_NAME = r"[0-9]{5,9}/[0-9]{8,12}-[0-9]{4,8}\.age"
Count = Annotated[int, Field(ge=0)]
Why = Literal["vanished", "withheld", "differs", "failed", "lost", "absent", "never"]
"""vanished: it was listed, and is gone; withheld: the provider refuses it; lost: its files
here are damaged, and the provider doesn't have it any more; absent: an id that it doesn't list, and
doesn't have; never: no provider hands it out."""
HARMLESS: tuple[Why, ...] = ("absent", "never")
"""What doesn't keep an export from being whole: there is nothing to export."""


class Part(Stored):
    """One encrypted file."""

    file: Annotated[str, StringConstraints(pattern=f"^{PART_NAME}$")]
    """Below the export's folder."""
    bytes: Count
    sha256: Sha256


class Piece(Stored):
    """A content, as the provider sent it; of JSON, lines with one object each."""

    name: str
    bytes: Count
    sha256: Sha256
    parts: tuple[Part, ...] = ()
    """Each is encrypted on its own; decrypted in this order, they are the content."""


class ObjectLine(Stored):
    format: Literal["export-object/1"] = "export-object/1"
    kind: str
    id: str
    state: Literal["exported", "missing", "gone"]
    """gone: the provider doesn't list it any more; what was exported of it stays."""
    at: float
    """Unix seconds."""
    name: str = ""
    listed: str = ""
    """A digest of the object as the provider listed it."""
    pieces: tuple[Piece, ...] = ()
    why: Why | None = None
    reason: str = ""
    """Why it is missing, in a few words."""

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.pieces)

    def piece(self, name: str) -> Piece | None:
        return next((one for one in self.pieces if one.name == name), None)


class RunLine(Stored):
    """A run that came to its end."""

    format: Literal["export-run/1"] = "export-run/1"
    at: float
    whole: bool
    """Whether everything that the provider stores, and that it hands out at all, was in the export then."""
    unlisted: Mapping[str, str] = {}
    """Kind that wasn't listed to its end → why."""


def parse_export_line(text: bytes, where: str) -> ObjectLine | RunLine:
    """Return the line. Raise RackwrightError if it is none."""
    model = RunLine if text.startswith(b'{"format":"export-run/') else ObjectLine
    try:
        return model.model_validate_json(text)
    except ValidationError:
        raise RackwrightError(
            "a line is damaged, or a newer rackwright wrote it", where=where, should="restore the export from a copy"
        ) from None
