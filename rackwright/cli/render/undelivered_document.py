"""The receivers that weren't reached, for `--json`."""

from __future__ import annotations

from collections.abc import Iterable

from rackwright.cli.common.context import Json
from rackwright.errors import RackwrightError


def undelivered_documents(failures: Iterable[RackwrightError]) -> list[Json]:
    """Return a document for each notice that a receiver didn't get."""
    problems = (failure.problems[0] for failure in failures)
    return [{"receiver": one.where, "why": one.what, "next": one.next} for one in problems]
