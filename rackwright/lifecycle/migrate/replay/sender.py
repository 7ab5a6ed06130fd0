"""Send requests to the gateways as a client does: over TLS, under the gateways' name, each answer bounded."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from rackwright.lifecycle.client.request import bracketed
from rackwright.migrate.asking.retry_after import retry_after
from rackwright.resolve.tls import cooperative_tls
from rackwright.values.secrets import Secret

if TYPE_CHECKING:
    import httpx2

MOST_ANSWER = 16 * 2**20
"""Bytes; more is no answer to a recorded request."""
CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Door:
    """Where clients connect."""

    address: str
    domain: str
    ca: str = field(repr=False)
    """PEM of the CAs to trust."""
    port: int = 443


@dataclass(frozen=True)
class Got:
    """What came back. `status` is 0 if there was no HTTP answer; then `problem` says why."""

    status: int
    content: bytes = field(default=b"", repr=False)
    seconds: float = 0.0
    """From the request to the end of its answer."""
    problem: str = ""
    retry_after: float | None = None
    """Seconds that the answer asks to wait."""
    sent: bool = True
    """False: the request certainly didn't reach the other end."""
    untrusted: bool = False
    """Whether the other end's certificate was refused."""


class Sender(Protocol):
    """Sends requests to one side: the cloud, or the fleet."""

    def send(self, path: str, body: bytes, key: Secret) -> Got: ...


class GatewaySender:
    """Sends to the gateways. Threads share it, and each has a connection of its own."""

    def __init__(self, client: httpx2.Client, door: Door, seconds: float) -> None:
        self._client, self._seconds = client, seconds
        self._base = f"https://{bracketed(door.address)}:{door.port}"
        self._host = door.domain if door.port == 443 else f"{door.domain}:{door.port}"
        # Name and certificate are the gateway's, whatever its address is.
        self._extensions = {"sni_hostname": door.domain}

    def send(self, path: str, body: bytes, key: Secret) -> Got:
        """Send one request and read its answer. Redirects aren't followed; nothing raises but a bug."""
        import httpx2

        headers = {
            "host": self._host,
            "authorization": f"Bearer {key.reveal()}",
            "content-type": "application/json",
            # A megabyte could become a gigabyte.
            "accept-encoding": "identity",
        }
        started = time.monotonic()
        try:
            with self._client.stream(
                "POST", self._base + path, content=body, headers=headers, extensions=self._extensions
            ) as answer:
                return self._read(answer, started)
        except httpx2.HTTPError as error:
            return _unanswered(error, time.monotonic() - started)

    def _read(self, answer: httpx2.Response, started: float) -> Got:
        parts, size = [], 0
        for part in answer.iter_raw():
            size += len(part)
            if size > MOST_ANSWER:
                problem = f"the answer has more than {MOST_ANSWER // 2**20} MiB"
                return Got(0, seconds=time.monotonic() - started, problem=problem)
            if time.monotonic() - started > self._seconds:
                return Got(0, seconds=time.monotonic() - started, problem=_late(self._seconds))
            parts.append(part)
        headers = {name: value[:200] for name, value in answer.headers.items()}
        asked = retry_after(headers, datetime.now(UTC)) if answer.status_code >= 400 else None
        return Got(answer.status_code, b"".join(parts), time.monotonic() - started, retry_after=asked)


@contextmanager
def gateway_sender(door: Door, *, connections: int, seconds: float) -> Iterator[GatewaySender]:
    """Yield a sender with at most so many connections. `seconds`: after which an answer is given up."""
    cooperative_tls()
    import httpx2

    trusted = ssl.create_default_context(cadata=door.ca)
    # As curl does: a certificate of the operator's own may come without its root.
    trusted.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    timeout = httpx2.Timeout(seconds, connect=CONNECT_SECONDS)
    # The environment's proxies and certificates aren't for the fleet's own gateways.
    with httpx2.Client(verify=trusted, timeout=timeout, limits=limits, trust_env=False) as client:
        yield GatewaySender(client, door, seconds)


def _unanswered(error: httpx2.HTTPError, seconds: float) -> Got:
    """Return what happened, without the library's text: it could contain what the other end sent."""
    import httpx2

    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
        untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
        problem = "its certificate isn't trusted" if untrusted else "can't be connected to"
        return Got(0, seconds=seconds, problem=problem, sent=False, untrusted=untrusted)
    if isinstance(error, httpx2.TimeoutException):
        return Got(0, seconds=seconds, problem=_late(seconds))
    return Got(0, seconds=seconds, problem="the connection ended before the answer did")


def _late(seconds: float) -> str:
    return f"no whole answer within {seconds:.0f} s"
