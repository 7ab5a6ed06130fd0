"""What a provider's management API answers, read and judged. It is untrusted: bounded, and named without its text."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import httpx2

Why = Literal["key", "absent", "large", "failed"]
UNTRUSTED = "its certificate isn't trusted"


class Refused(Exception):
    """The provider gives no answer that can be used."""

    def __init__(self, why: Why, problem: str, status: int = 0) -> None:
        super().__init__(problem)
        self.why, self.problem, self.status = why, problem, status


@dataclass(frozen=True)
class Page:
    items: Sequence[Mapping[str, Any]]
    more: bool


def bounded(answer: httpx2.Response, most: int, seconds: float) -> bytes:
    """Return the whole answer. Raise Refused if it has more bytes, or takes longer."""
    content, end = bytearray(), time.monotonic() + seconds
    for part in answer.iter_raw():
        content += part
        if len(content) > most:
            raise Refused("large", f"an answer has more than {most // 2**20} MiB")
        if time.monotonic() > end:
            raise Refused("failed", "it doesn't answer in time")
    return bytes(content)


def refused_by(status: int) -> Refused:
    """Return what an error of HTTP means."""
    why: Why = "key" if status in (401, 403) else "absent" if status in (404, 405, 501) else "failed"
    return Refused(why, f"HTTP {status}", status)


def document(content: bytes) -> Mapping[str, Any]:
    """Return the JSON object. Raise Refused."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused("failed", "the answer isn't JSON")
    return found


def objects_in(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the objects of a list's page."""
    data = found.get("data")
    return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []


def cursor_of(found: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Return the query of the next page: lists of objects name the last one, those of usage name the page."""
    if isinstance(page := found.get("next_page"), str):
        return "page", page[:500]
    last = found.get("last_id") or (items[-1].get("id") if items else None)
    return ("after", last[:500]) if isinstance(last, str) else None


def words(error: httpx2.HTTPError, host: str) -> str:
    """Return what went wrong. The library's own text may have what the other end sent."""
    import httpx2

    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return UNTRUSTED
    if _in_chain(error, socket.gaierror):
        return f"this machine can't resolve {host}"
    return f"no connection to {host}" if isinstance(error, httpx2.ConnectError) else "it doesn't answer"


def _in_chain(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error is not None
