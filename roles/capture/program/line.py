"""A request as one line of a file: redacted, within a time and a size."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

from rackwright.migrate.redact import Redactor
from rackwright.roles.capture.program.arrivals import Recorded

MOST_LINE = 8 * 2**20
"""The longest line, in bytes, that the migration's folder takes."""
REDACT_SECONDS = 10
"""Longest time to redact one request: an operator's pattern may need time without end."""


class Unfit(Exception):
    """This request can't be recorded; the argument is the reason's name, never the request."""


def line_of(item: Recorded, more: Mapping[str, str]) -> tuple[bytes, Counter[str]]:
    """Return the request redacted, as one line, and what was replaced. Raise Unfit if that isn't possible.

    Only in the main thread, with `late` as the handler of SIGALRM.
    """
    body = _parsed(item.body)
    redactor = Redactor(more)
    try:
        with _limit(REDACT_SECONDS):
            clean = redactor.body(body)
        personal = Counter(redactor.counts)
        line = _written(item, clean, personal)
    except Exception:
        # Its text may quote the request.
        raise Unfit("not_redacted") from None
    if len(line) > MOST_LINE:
        raise Unfit("large")
    return line, personal


def late(*_: object) -> NoReturn:
    raise TimeoutError


def _written(item: Recorded, body: object, personal: Counter[str]) -> bytes:
    document = {
        "format": "recorded-request/1",
        "id": item.id,
        "arrived": item.arrived,
        "path": item.path,
        "model": item.model,
        "body": body,
        "key": item.key,
        "origin": "capture",
        "personal": dict(personal),
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _parsed(body: bytes) -> dict[str, object]:
    """Return the body's JSON object. Raise Unfit if it isn't one."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refused)
    except (ValueError, RecursionError):
        raise Unfit("not_json") from None
    if not isinstance(value, dict):
        raise Unfit("not_json")
    return value


def _refused(*_: object) -> NoReturn:
    raise ValueError


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after this time, even in a search by a pattern."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
