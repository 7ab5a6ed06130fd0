"""The report of a drill as a file: its format, and how it is read and written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictInt

from rackwright.errors import RackwrightError
from rackwright.lifecycle.drill.evidence.conclusion import Conclusion
from rackwright.lifecycle.drill.evidence.facts import Facts
from rackwright.state.formats import Model, Moment, parse
from rackwright.values.base import Stored
from rackwright.values.text import Sha256

KIND = "drill"
DRAFT = "drill-draft"


class Link(Stored):
    """The report before, by its id and the sha256 of its file."""

    drill: str
    sha256: Sha256


class Pages(Stored):
    """The sha256 of the pages made from the report, and of the log."""

    markdown: Sha256
    html: Sha256
    log: Sha256 | None = None
    """None: there was no log when the report was sealed."""


class Report(Stored):
    """A drill's evidence. Its signature covers the whole file."""

    format: str = f"{KIND}/1"
    number: Annotated[StrictInt, Field(ge=1)]
    """Its place in the chain, from 1."""
    previous: Link | None
    """None: it is the first."""
    sealed: Moment
    signer: str
    """Name in the file of signers."""
    key: str
    """Fingerprint of the signer's key."""
    facts: Facts
    conclusion: Conclusion
    pages: Pages | None = None
    """None only while the pages are made: they are made from all of the above."""


class Draft(Stored):
    """The facts of a drill that hasn't been sealed. Without a signature, so it proves nothing."""

    format: str = f"{DRAFT}/1"
    facts: Facts


def written(model: Report | Draft) -> bytes:
    """Return the file's content."""
    return model.model_dump_json(indent=1).encode() + b"\n"


def report_in(content: bytes, where: str) -> Report:
    """Return the report in the file's content. Raise RackwrightError if it is damaged or of a newer format."""
    return _in(Report, KIND, content, where)


def draft_in(content: bytes, where: str) -> Draft:
    """Return the draft in the file's content. Raise RackwrightError if it is damaged or of a newer format."""
    return _in(Draft, DRAFT, content, where)


def _in(model: type[Model], kind: str, content: bytes, where: str) -> Model:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise RackwrightError("is damaged: not UTF-8 text", where=where) from None
    found = parse(model, kind, text, where)
    if (said := getattr(found, "format", "")) != f"{kind}/1":
        raise RackwrightError(f"is of format {said}", where=where, should=f"should be of format {kind}/1")
    return found
