"""What the gateways' access log tells of both versions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from rackwright.roles.gateway.access_log import Access
from rackwright.verdict import Request, Traffic

_FAULTS = ("timeout", "server_error", "gateway_error", "killed")
"""Ends that are no client's fault."""
MOST = 20_000
"""Requests of one version that are judged: more of them tell nothing new."""
_STREAMS = 20
_CONVERSATIONS = 10_000
"""Numbers that the access log has for them."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a line tells of a request."""

    request: Request
    whole: float | None = None
    """Seconds to the first byte of an answer that came in one piece; None: it was a stream, or none came."""


@dataclass
class Seen:
    """One version's requests, as they come. Of too many, every second conversation is kept, then every fourth …"""

    count: int = 0
    """Of all."""
    _kept: list[Told] = field(default_factory=list)
    _every: int = 1

    @property
    def streams(self) -> int:
        """Answers of which the time to the first token is known."""
        return sum(told.request.ttft is not None for told in self._kept)

    def traffic(self, *, whole: bool) -> Traffic:
        """Return what is kept. `whole`: an answer's first byte stands for its first token where it was no stream."""
        return Traffic(tuple(_with_whole(told) if whole else told.request for told in self._kept))

    def add(self, found: Iterable[Told]) -> None:
        for told in found:
            self.count += 1
            self._keep([told])
        while len(self._kept) > MOST and self._every < _CONVERSATIONS:
            self._every *= 2
            kept, self._kept = self._kept, []
            self._keep(kept)
        # Of one conversation alone, the last ones.
        del self._kept[:-MOST]

    def _keep(self, found: Iterable[Told]) -> None:
        self._kept += [told for told in found if int(told.request.conversation) % self._every == 0]


def traffic_of(running: Seen, candidate: Seen) -> tuple[Traffic, Traffic]:
    """Return both versions' traffic, so that times to the first token are alike: of streams alone, where both have
    enough of them."""
    whole = min(running.streams, candidate.streams) < _STREAMS
    return running.traffic(whole=whole), candidate.traffic(whole=whole)


def _with_whole(told: Told) -> Request:
    return told.request if told.request.ttft is not None else replace(told.request, ttft=told.whole)


def requests_of(lines: Iterable[Access], canary: str, *, to_canary: bool) -> Iterator[Told]:
    """Given lines of the log, yield the requests of conversations that the running version answers, or the canary
    (HOST/MODEL@N). What the client did wrong or gave up tells nothing of a version."""
    for line in lines:
        if line.canary is to_canary and _counts(line):
            yield _request(line, failed_over=to_canary and line.replica != canary)


def _counts(line: Access) -> bool:
    if line.end in ("client_aborted", "refused"):
        return False
    return line.end in _FAULTS or not 400 <= line.status < 500


def _request(line: Access, *, failed_over: bool) -> Told:
    """A canary that another replica had to stand in for failed the request, however it was answered."""
    conversation = str(line.conversation)
    if failed_over or line.end in _FAULTS or line.status >= 500:
        return Told(Request(conversation, error=True))
    # Only a stream's first byte is its first token.
    first = None if line.first_byte_ms is None else _seconds(line.first_byte_ms, line)
    request = Request(conversation, error=False, ttft=first if line.stream else None, tpot=_each_token(line))
    return Told(request, whole=None if line.stream else first)


def _each_token(line: Access) -> float | None:
    """Of an answer in one piece, with the prompt's part in it: nobody counts the tokens of streams."""
    if not line.completion_tokens or line.total_ms is None:
        return None
    return _seconds(line.total_ms, line) / line.completion_tokens


def _seconds(milliseconds: int, line: Access) -> float:
    """Without the wait for a slot, which tells of how much there was to do."""
    # The log's clocks may differ by a millisecond.
    return max(milliseconds - (line.queued_ms or 0), 1) / 1000
