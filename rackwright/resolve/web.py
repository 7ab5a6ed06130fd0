"""HTTP for the lock: the size of a file, or its SHA-256 by reading it once. Nothing is stored on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin, urlsplit

from rackwright.errors import RackwrightError
from rackwright.resolve.tls import cooperative_tls
from rackwright.route import Route
from rackwright.values.secrets import Secret

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

CHUNK = 2**20
SECONDS = (10, 60)
"""Timeouts for the connection and between two chunks."""
SHORT = (5, 10)
"""The same, for a question that isn't worth a longer wait."""
REDIRECTS = 8


class Progress(Protocol):
    """Called while bytes are read."""

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """`done` of `total` bytes; `total` is None if it isn't known."""


def quiet(what: str, done: int, total: int | None) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Web:
    """HTTP through the fleet's route. The proxy's address and the token never appear in an error."""

    route: Route = field(default_factory=Route, repr=False)
    on_progress: Progress = quiet

    def size(self, url: str) -> int:
        """Return the size of a URL's content in bytes. Raise RackwrightError if the server doesn't report it."""
        with self._open("HEAD", url) as response:
            length = response.headers.get("Content-Length", "")
            if response.ok and length.isdecimal() and int(length):
                return int(length)
        with self._open("GET", url, {"Range": "bytes=0-0"}) as response:
            self._require_ok(url, response)
            total = response.headers.get("Content-Range", "").rpartition("/")[2]
            total = total if response.status_code == 206 else response.headers.get("Content-Length", "")
            if total.isdecimal():
                return int(total)
        raise RackwrightError("its server doesn't report its size", where=url, next="use another mirror")

    def digest(self, url: str, *, limit: int, token: Secret | None = None) -> tuple[int, str]:
        """Read a URL once; return size and sha256. Raise RackwrightError on more than `limit` bytes or a failure."""
        hashed, size = hashlib.sha256(), 0
        for chunk in self._body(url, limit, token):
            hashed.update(chunk)
            size += len(chunk)
        return size, hashed.hexdigest()

    def content(self, url: str, *, limit: int, token: Secret | None = None) -> bytes:
        """Return the content of a URL. Raise RackwrightError on more than `limit` bytes or a failure."""
        return b"".join(self._body(url, limit, token))

    def _body(self, url: str, limit: int, token: Secret | None) -> Iterator[bytes]:
        """Yield the content of a URL in chunks, and report progress."""
        with self._open("GET", url, token=token) as response:
            self._require_ok(url, response)
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            done = 0
            for chunk in self._chunks(url, response):
                done += len(chunk)
                if done > limit:
                    raise RackwrightError(f"has more than {limit // 2**20} MiB", where=url)
                self.on_progress(url.rsplit("/", 1)[-1], done, total)
                yield chunk
        if total is not None and done != total:
            raise RackwrightError(f"ended after {done} of {total} bytes", where=url, next="rackwright lock")

    def part(self, url: str, first: int, count: int, *, token: Secret | None = None) -> bytes:
        """Return `count` bytes of a URL from `first` on. Raise RackwrightError if its server has no ranges."""
        with self._open("GET", url, {"Range": f"bytes={first}-{first + count - 1}"}, token) as response:
            self._require_ok(url, response)
            if response.status_code != 206:
                raise RackwrightError(
                    "its server doesn't support range requests", where=url, next="use another mirror"
                )
            content = bytearray()
            for chunk in self._chunks(url, response):
                content += chunk
                if len(content) > count:
                    raise RackwrightError("its server sends more bytes than requested", where=url)
        return bytes(content)

    def _proxies(self, url: str) -> dict[str, str] | None:
        """Return the proxies for requests; None means the environment's."""
        if self.route.proxy is None:
            return None
        # An empty string also overrides the environment's proxy.
        proxy = self.route.proxy_for(url) or ""
        return {"http": proxy, "https": proxy}

    def _chunks(self, url: str, response: Response) -> Iterator[bytes]:
        with _reachable(url):
            # As curl does on hosts: a server may compress although it is asked not to, and a megabyte could become
            # a gigabyte.
            yield from response.raw.stream(CHUNK, decode_content=False)

    def _require_ok(self, url: str, response: Response) -> None:
        if not response.ok:
            code = response.status_code
            hint = "set downloads.hub_token to a token with access" if code in (401, 403) else "check the address"
            raise RackwrightError(f"its server answers {code} {response.reason or ''}".rstrip(), where=url, next=hint)

    def status(self, url: str, session: Session, *, token: Secret | None = None) -> int:
        """Return the HTTP status of a URL's content, which isn't read. Raise RackwrightError if it can't be reached.

        `session` keeps connections open for further questions.
        """
        with self._open("HEAD", url, token=token, session=session, timeout=SHORT) as response:
            # Some servers don't support HEAD, and signed URLs are for GET only.
            if response.ok or response.status_code in (404, 410):
                return response.status_code
        with self._open("GET", url, {"Range": "bytes=0-0"}, token, session, SHORT) as response:
            return response.status_code

    @contextmanager
    def _open(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        token: Secret | None = None,
        session: Session | None = None,
        timeout: tuple[int, int] = SECONDS,
    ) -> Iterator[Response]:
        """Yield the response after all redirects; its body is read on demand."""
        cooperative_tls()
        import requests

        first, bearer = url, token.reveal() if token else None
        with nullcontext(session) if session else requests.Session() as session, _reachable(first):
            for _ in range(REDIRECTS):
                with session.request(
                    method,
                    url,
                    headers={"Accept-Encoding": "identity", **(headers or {})},
                    auth=_Bearer(bearer),
                    proxies=self._proxies(url),
                    verify=self.route.ca_bundle or True,
                    timeout=timeout,
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    if not response.is_redirect:
                        yield response
                        return
                    target = urljoin(url, response.headers["Location"])
                if urlsplit(target).netloc != urlsplit(url).netloc:
                    bearer = None
                _require_safe(first, target)
                url = target
        raise RackwrightError(f"is redirected more than {REDIRECTS} times", where=first)


class _Bearer:
    """Sends the token, and prevents requests from sending credentials from ~/.netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _require_safe(first: str, target: str) -> None:
    if urlsplit(target).scheme != "https":
        raise RackwrightError("is redirected to an address that is not https", where=first, next="use another mirror")


@contextmanager
def _reachable(url: str) -> Iterator[None]:
    import requests
    import urllib3

    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        host = urlsplit(url).hostname or url
        raise unreachable(host, type(error).__name__) from None


def unreachable(host: str, kind: str) -> RackwrightError:
    """Return the error for a host and the name of a network library's exception.

    The exception's own text is left out, because it may contain the proxy's password.
    """
    what, check = "can't be reached", "check downloads.hub, downloads.proxy and the network, then try again"
    for part, text in (
        ("SSL", "its certificate is not trusted on this machine"),
        ("Proxy", "can't be reached through the proxy"),
        ("Timeout", "doesn't answer in time"),
        ("ChunkedEncoding", "closed the connection too early"),
        ("Protocol", "closed the connection too early"),
        ("ReadError", "closed the connection too early"),
        ("IncompleteRead", "closed the connection too early"),
    ):
        if part in kind:
            what = text
            break
    if "SSL" in kind:
        check = "add its CA to the file downloads.ca_bundle"
    return RackwrightError(what, where=host, next=check)
