"""A verdict as JSON, `verdict/1`: write and read it."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError

from rackwright.errors import RackwrightError
from rackwright.report.document import Json
from rackwright.state.formats import parse
from rackwright.values.base import Stored
from rackwright.verdict import Verdict

FORMAT = "verdict/1"


class _Format(Stored):
    format: str


def verdict_document(verdict: Verdict) -> dict[str, Json]:
    """Return the verdict with its format. Shares are from 0 to 1, times in seconds, ratios plain numbers."""
    return {"format": FORMAT, **asdict(verdict)}


def parse_verdict(text: str, where: str) -> Verdict:
    """Return the verdict in a `verdict/1` document. Raise RackwrightError if its format is newer or it is damaged."""
    parse(_Format, "verdict", text, where)
    try:
        return TypeAdapter(Verdict).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise RackwrightError(
            f"is damaged: {first['msg']}", where=where, should=f"should be of format {FORMAT}"
        ) from None
