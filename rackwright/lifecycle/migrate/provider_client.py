"""Ask a provider's management API: over verified TLS, page by page, bounded, and as slowly as it asks."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit

from rackwright.lifecycle.migrate.provider_answers import (
    UNTRUSTED,
    Page,
    Refused,
    bounded,
    cursor_of,
    document,
    objects_in,
    refused_by,
    words,
)
from rackwright.lifecycle.migrate.provider_turns import Halt, Turns
from rackwright.migrate.asking.rate_limit import until_reset
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
SLOW_START = 60.0
"""Seconds for which a content may be slower than SLOWEST."""
SLOWEST = 10_000
"""Bytes per second."""
SECONDS = 30.0
"""Without a byte of an answer."""
pause = time.sleep
_BUSY = (408, 425, 429, 500, 502, 503, 504)
Got = TypeVar("Got")


@dataclass(frozen=True)
class Limits:
    """How much a client puts up with."""

    tries: int = field(default_factory=lambda: TRIES)
    pages: int = field(default_factory=lambda: MOST_PAGES)
    list_seconds: float = LIST_SECONDS
    longest_wait: float = LONGEST_WAIT
    large: int = 0
    """Bytes of a page above MOST_PAGE, of which there is only one in memory at a time; 0: there is none."""
    patient: bool = False
    """Whether a request without an answer is sent again, and a 429 is no failure."""


@dataclass
class ProviderClient:
    """`keys`: tried one after another, until one is allowed to. Threads may share it."""

    client: httpx2.Client
    base: str
    auth: str
    keys: Sequence[Secret] = field(repr=False)
    limits: Limits = field(default_factory=Limits)
    turns: Turns = field(default_factory=lambda: Turns(sleep=lambda seconds: pause(seconds)))
    _large: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, path: str, **query: object) -> Mapping[str, Any]:
        """Return the answer's JSON object. Raise Refused, Halt."""
        try:
            return self._asked(path, query, lambda answer: document(bounded(answer, MOST_PAGE, LONGEST_WAIT)))
        except Refused as refused:
            if refused.why != "large" or not self.limits.large:
                raise
        with self._large:
            return self._asked(path, query, lambda answer: document(bounded(answer, self.limits.large, LONGEST_WAIT)))

    def content(self, path: str, take: Callable[[Iterator[bytes]], Got]) -> Got:
        """Return what `take` makes of the content, which it gets in parts as the provider sends it.

        It is called again, from the beginning, if the content is cut. Raise Refused, Halt, and what `take` raises.
        """
        return self._asked(path, {}, lambda answer: take(self._parts(answer)))

    def delete(self, path: str) -> None:
        """Delete what is there; it is sent again if there is no answer. Raise Refused, Halt."""
        self._asked(path, {}, lambda answer: bounded(answer, MOST_PAGE, LONGEST_WAIT), "DELETE")

    def pages(self, path: str, **query: object) -> Iterator[Page]:
        """Yield a list's pages, each with whether there is more after it. Raise Refused, Halt.

        It ends after the pages or seconds of the limits, or if a page repeats; then the last one has more.
        """
        end, seen, following = time.monotonic() + self.limits.list_seconds, set[str](), dict[str, object]()
        for _ in range(self.limits.pages):
            asked = {"limit": PAGE, **query, **following}
            found = self.get(path, **{name: value for name, value in asked.items() if value is not None})
            items = objects_in(found)
            cursor = cursor_of(found, items)
            more = bool(found.get("has_more")) and bool(items)
            yield Page(items, more)
            if not more or cursor is None or cursor[1] in seen or time.monotonic() > end:
                return
            seen.add(cursor[1])
            following = {cursor[0]: cursor[1]}

    def _asked(
        self, path: str, query: Mapping[str, object], read: Callable[[httpx2.Response], Got], method: str = "GET"
    ) -> Got:
        refused = Refused("key", "there is no key for it")
        for key in self.keys:
            try:
                url = f"{self.base}{path}" + (f"?{urlencode(query)}" if query else "")
                return self._with_key(key, method, url, read)
            except Refused as error:
                refused = error
                if error.why != "key":
                    raise
        raise refused

    def _with_key(self, key: Secret, method: str, url: str, read: Callable[[httpx2.Response], Got]) -> Got:
        name, value = ("api-key", "") if self.auth == "api-key" else ("authorization", "Bearer ")
        headers = {name: value + key.reveal(), "accept-encoding": "identity"}
        tried = 0
        while True:
            sent, tried = self.turns.take(), tried + 1
            found, status, asked = self._once(method, url, headers, read, last=tried >= self.limits.tries)
            if found is not None:
                return found
            if status == 429 and self.limits.patient:
                self.turns.limited(sent, asked)
                tried -= 1
            else:
                self.turns.rest(2.0 ** (tried - 1) if asked is None and self.limits.patient else asked or 1.0)

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        read: Callable[[httpx2.Response], Got],
        *,
        last: bool,
    ) -> tuple[Got | None, int, float | None]:
        """Return what was read, the status and for how long to wait; None, if it may be sent again. Raise Refused."""
        import httpx2

        patient = self.limits.patient
        try:
            with self.client.stream(method, url, headers=headers) as answer:
                status, said = answer.status_code, dict(answer.headers)
                if patient and (seconds := until_reset(said)) is not None:
                    self.turns.pause(seconds)
                if status == 200 or (method == "DELETE" and status == 204):
                    found = read(answer)
                    self.turns.answered()
                    return found, status, None
                with suppress(Refused):
                    # The connection can be used again when all was read.
                    bounded(answer, 2**16, LONGEST_WAIT)
        except httpx2.HTTPError as error:
            problem = words(error, urlsplit(self.base).hostname or "")
            if last or not patient or problem == UNTRUSTED:
                raise self._failed(Refused("failed", problem)) from None
            return None, 0, None
        asked = retry_after(said, datetime.now(UTC))
        if status not in _BUSY or (last and not (patient and status == 429)):
            raise self._failed(refused_by(status)) if status >= 500 else refused_by(status)
        if asked is not None and asked > self.limits.longest_wait:
            refused = Refused("failed", f"it asks to wait {asked:.0f} s", status)
            if patient:
                self.turns.halt(Halt(refused.problem))
            raise refused
        return None, status, asked

    def _failed(self, refused: Refused) -> Refused:
        self.turns.failed(refused.problem)
        return refused

    def _parts(self, answer: httpx2.Response) -> Iterator[bytes]:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise Refused("failed", "its content is compressed, which wasn't asked for")
        began, size = time.monotonic(), 0
        for part in answer.iter_raw():
            self.turns.refuse_halted()
            size += len(part)
            if time.monotonic() - began > SLOW_START + size / SLOWEST:
                raise Refused("failed", f"its content is slower than {SLOWEST // 1000} kB/s")
            yield part


@contextmanager
def provider_client(
    base: str,
    auth: str,
    keys: Sequence[Secret],
    *,
    ca: str | None,
    proxy: str | None = None,
    limits: Limits | None = None,
    turns: Turns | None = None,
    connections: int = 1,
) -> Iterator[ProviderClient]:
    """Yield a client. `ca`: PEM of the CAs to trust, None for the system's; `proxy` None: the environment's."""
    cooperative_tls()
    import httpx2

    trusted = ssl.create_default_context(cadata=ca) if ca else ssl.create_default_context()
    pool = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    with httpx2.Client(
        verify=trusted, timeout=SECONDS, limits=pool, follow_redirects=False, proxy=proxy, trust_env=proxy is None
    ) as client:
        found = ProviderClient(client, base.rstrip("/"), auth, keys, limits or Limits())
        found.turns = turns or found.turns
        yield found
