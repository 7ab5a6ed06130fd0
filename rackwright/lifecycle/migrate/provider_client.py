"""Ask a provider's management API: over verified TLS, page by page, bounded, and as slowly as it asks."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode, urlsplit

from rackwright.migrate.asking.retry_after import retry_after
from rackwright.resolve.tls import cooperative_tls
from rackwright.values.secrets import Secret

if TYPE_CHECKING:
    import httpx2

MOST_PAGE = 8 * 2**20
"""Bytes."""
MOST_PAGES = 1000
"""Of one list."""
PAGE = 100
"""Items; the most that providers return at once."""
TRIES = 5
LONGEST_WAIT = 60.0
"""Seconds."""
LIST_SECONDS = 300.0
"""For one list."""
pause = time.sleep
_BUSY = (408, 425, 429, 500, 502, 503, 504)
Why = Literal["key", "absent", "failed"]


class Refused(Exception):
    """The provider gives no answer that can be used."""

    def __init__(self, why: Why, problem: str) -> None:
        super().__init__(problem)
        self.why, self.problem = why, problem


@dataclass(frozen=True)
class Page:
    items: Sequence[Mapping[str, Any]]
    more: bool


@dataclass
class ProviderClient:
    """`keys`: tried one after another, until one is allowed to."""

    client: httpx2.Client
    base: str
    auth: str
    keys: Sequence[Secret] = field(repr=False)

    def get(self, path: str, **query: object) -> Mapping[str, Any]:
        """Return the answer's JSON object. Raise Refused."""
        refused = Refused("key", "there is no key for it")
        for key in self.keys:
            try:
                return self._with_key(key, path, query)
            except Refused as error:
                refused = error
                if error.why != "key":
                    raise
        raise refused

    def pages(self, path: str, **query: object) -> Iterator[Page]:
        """Yield a list's pages, each with whether there is more after it. Raise Refused.

        It ends after MOST_PAGES pages or LIST_SECONDS, or if a page repeats; then the last one has more.
        """
        end, seen, following = time.monotonic() + LIST_SECONDS, set[str](), dict[str, object]()
        for _ in range(MOST_PAGES):
            found = self.get(path, **{"limit": PAGE, **query, **following})
            items = [one for one in _list(found.get("data")) if isinstance(one, dict)]
            cursor = _cursor(found, items)
            more = bool(found.get("has_more")) and bool(items)
            yield Page(items, more)
            if not more or cursor is None or cursor[1] in seen or time.monotonic() > end:
                return
            seen.add(cursor[1])
            following = {cursor[0]: cursor[1]}

    def _with_key(self, key: Secret, path: str, query: Mapping[str, object]) -> Mapping[str, Any]:
        import httpx2

        url = f"{self.base}{path}" + (f"?{urlencode(query)}" if query else "")
        name, value = ("api-key", "") if self.auth == "api-key" else ("authorization", "Bearer ")
        headers = {name: value + key.reveal(), "accept-encoding": "identity"}
        for last in (*[False] * (TRIES - 1), True):
            try:
                with self.client.stream("GET", url, headers=headers) as answer:
                    content, status = _bounded(answer), answer.status_code
                    asked = retry_after(dict(answer.headers), datetime.now(UTC))
            except httpx2.HTTPError as error:
                raise Refused("failed", self._words(error)) from None
            if status not in _BUSY or last:
                return _document(status, content)
            if asked is not None and asked > LONGEST_WAIT:
                raise Refused("failed", f"it asks to wait {asked:.0f} s")
            pause(1.0 if asked is None else asked)
        raise Refused("failed", "it doesn't answer")

    def _words(self, error: httpx2.HTTPError) -> str:
        """Return what went wrong. The library's own text may have what the other end sent."""
        import httpx2

        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return "its certificate isn't trusted"
        host = urlsplit(self.base).hostname
        if _in_chain(error, socket.gaierror):
            return f"this machine can't resolve {host}"
        return f"no connection to {host}" if isinstance(error, httpx2.ConnectError) else "it doesn't answer"


def _in_chain(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error is not None


@contextmanager
def provider_client(
    base: str, auth: str, keys: Sequence[Secret], *, ca: str | None, proxy: str | None = None
) -> Iterator[ProviderClient]:
    """Yield a client. `ca`: PEM of the CAs to trust, None for the system's; `proxy` None: the environment's."""
    cooperative_tls()
    import httpx2

    trusted = ssl.create_default_context(cadata=ca) if ca else ssl.create_default_context()
    with httpx2.Client(
        verify=trusted, timeout=30, follow_redirects=False, proxy=proxy, trust_env=proxy is None
    ) as client:
        yield ProviderClient(client, base.rstrip("/"), auth, keys)


def _bounded(answer: httpx2.Response) -> bytes:
    content, end = bytearray(), time.monotonic() + LONGEST_WAIT
    for part in answer.iter_raw():
        content += part
        if len(content) > MOST_PAGE:
            raise Refused("failed", f"an answer has more than {MOST_PAGE // 2**20} MiB")
        if time.monotonic() > end:
            raise Refused("failed", "it doesn't answer in time")
    return bytes(content)


def _document(status: int, content: bytes) -> Mapping[str, Any]:
    if status in (401, 403):
        raise Refused("key", f"HTTP {status}")
    if status in (404, 405, 501):
        raise Refused("absent", f"HTTP {status}")
    if status != 200:
        raise Refused("failed", f"HTTP {status}")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused("failed", "the answer isn't JSON")
    return found


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _cursor(found: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Return the query of the next page: lists of objects name the last one, those of usage name the page."""
    if isinstance(page := found.get("next_page"), str):
        return "page", page[:500]
    last = found.get("last_id") or (items[-1].get("id") if items else None)
    return ("after", last[:500]) if isinstance(last, str) else None
