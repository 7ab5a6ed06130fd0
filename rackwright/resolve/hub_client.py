"""The HTTP client for a model hub, which may be hostile: each answer is bounded, and only https is followed."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from functools import partial

import httpx2

from rackwright.resolve.web import REDIRECTS
from rackwright.route import Route


class UnfitAnswer(Exception):
    """What is wrong with an answer, as the rest of a sentence."""


def hub_client(route: Route, endpoint: str, *, limit: int) -> httpx2.Client:
    """Return a client for the hub at `endpoint`, which sends the token to the endpoint's host and port only.

    It raises UnfitAnswer if an answer is compressed, has more than `limit` bytes, or is a redirect to an address
    that is not https.
    """
    proxy = route.proxy_for(endpoint)
    return httpx2.Client(
        proxy=proxy,
        # A host that bypasses the fleet file's proxy must not use the environment's proxy either.
        mounts={"all://": None, "http://": None, "https://": None} if route.proxy and not proxy else None,
        verify=ssl.create_default_context(cafile=route.ca_bundle) if route.ca_bundle else True,
        follow_redirects=True,
        max_redirects=REDIRECTS,
        timeout=60,
        headers={"Accept-Encoding": "identity"},
        # Hooks, not transports, so that answers through the environment's proxies are bounded too.
        event_hooks={"request": [_require_https], "response": [partial(_bound, limit)]},
    )


def _require_https(request: httpx2.Request) -> None:
    if request.url.scheme != "https":
        raise UnfitAnswer("is a redirect to an address that is not https")


def _bound(limit: int, response: httpx2.Response) -> None:
    # A megabyte could become a gigabyte.
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnfitAnswer("is compressed, although it was requested without compression")
    if not isinstance(response.stream, httpx2.SyncByteStream):
        raise TypeError("this client is synchronous")
    response.stream = _Bounded(response.stream, limit)


class _Bounded(httpx2.SyncByteStream):
    """The stream of an answer, up to a limit in bytes."""

    def __init__(self, stream: httpx2.SyncByteStream, limit: int) -> None:
        self._stream = stream
        self._limit = limit

    def __iter__(self) -> Iterator[bytes]:
        done = 0
        for chunk in self._stream:
            done += len(chunk)
            if done > self._limit:
                raise UnfitAnswer(f"has more than {self._limit // 2**20} MiB")
            yield chunk

    def close(self) -> None:
        self._stream.close()
