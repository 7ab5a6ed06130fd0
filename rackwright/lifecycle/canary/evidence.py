"""What the gateways' access log tells of both versions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rackwright.roles.gateway.access_log import Access
from rackwright.verdict import Request, Traffic

_FAULTS = ("timeout", "server_error", "gateway_error", "killed")
"""Ends that are no client's fault."""
MOST = 20_000
"""Requests of one version that are judged: more of them tell nothing new."""
_CONVERSATIONS = 10_000
"""Numbers that the access log has for them."""


@dataclass
class Seen:
    """One version's requests, as they come. Of too many, every second conversation is kept, then every fourth …"""

    count: int = 0
    """Of all."""
    _kept: list[Request] = field(default_factory=list)
    _every: int = 1

    @property
    def traffic(self) -> Traffic:
        return Traffic(tuple(self._kept))

    def add(self, requests: Iterable[Request]) -> None:
        for request in requests:
            self.count += 1
            self._keep([request])
        while len(self._kept) > MOST and self._every < _CONVERSATIONS:
            self._every *= 2
            kept, self._kept = self._kept, []
            self._keep(kept)
        # Of one conversation alone, the last ones.
        del self._kept[:-MOST]

    def _keep(self, requests: Iterable[Request]) -> None:
        self._kept += [request for request in requests if int(request.conversation) % self._every == 0]


def requests_of(lines: Iterable[Access], canary: str, *, to_canary: bool) -> Iterator[Request]:
    """Given lines of the log, yield the requests of conversations that the running version answers, or the canary
    (HOST/MODEL@N). What the client did wrong or gave up tells nothing of a version."""
    for line in lines:
        if line.canary is to_canary and _counts(line):
            yield _request(line, failed_over=to_canary and line.replica != canary)


def _counts(line: Access) -> bool:
    if line.end in ("client_aborted", "refused"):
        return False
    return line.end in _FAULTS or not 400 <= line.status < 500


def _request(line: Access, *, failed_over: bool) -> Request:
    """A canary that another replica had to stand in for failed the request, however it was answered."""
    conversation = str(line.conversation)
    if failed_over or line.end in _FAULTS or line.status >= 500:
        return Request(conversation, error=True)
    return Request(conversation, error=False, ttft=_first_token(line), tpot=_each_token(line))


def _first_token(line: Access) -> float | None:
    """Only a stream's first byte is its first token. What waited for a slot says how much there was to do."""
    if not line.stream or line.first_byte_ms is None:
        return None
    return _seconds(line.first_byte_ms, line)


def _each_token(line: Access) -> float | None:
    """Of a whole answer, the prompt's part in it: engines count no tokens of streams."""
    if not line.completion_tokens or line.total_ms is None:
        return None
    return _seconds(line.total_ms, line) / line.completion_tokens


def _seconds(milliseconds: int, line: Access) -> float:
    # The log's clocks may differ by a millisecond.
    return max(milliseconds - (line.queued_ms or 0), 1) / 1000
