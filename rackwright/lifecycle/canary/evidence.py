"""What the gateways' access log says about both versions. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from random import Random

from rackwright.gateway import parts_of
from rackwright.roles.gateway.access_log import Access
from rackwright.roles.gateway.settings import Side
from rackwright.verdict import Request, Traffic

_FAULTS = ("timeout", "server_error", "gateway_error", "killed")
"""Ends of a request that the client didn't cause."""
MOST = 20_000
"""How many requests of one version are judged: more would add no information."""
NEWEST_CONVERSATIONS = 20
"""How many conversations show that most of them fail."""
_NEWEST_READS = 6
"""A minute, if the log is read every ten seconds."""
_TOKENS = 200
"""How many conversations with a known time per token are enough to know its 95th percentile."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """What a line of the log says about a request."""

    request: Request
    """Its time to the first token is the time to the first byte of the answer."""
    streamed: bool


@dataclass
class Seen:
    """One version's requests as they arrive. If there are too many, a random half is kept, then a quarter, and so on.

    That keeps nearly all conversations, which matter more than their requests.
    """

    count: int = 0
    """All requests, including those that were not kept."""
    _kept: list[LoggedRequest] = field(default_factory=list)
    _share: float = 1.0
    """Share of all requests that is kept."""
    _newest: deque[list[Request]] = field(default_factory=deque)
    """The requests of each of the newest reads that had some."""
    _lots: Random = field(default_factory=lambda: Random(20261128))  # noqa: S311 (no secret)

    def answers(self, *, streamed: bool) -> int:
        return sum(logged.streamed is streamed and logged.request.ttft is not None for logged in self._kept)

    @property
    def with_tokens(self) -> int:
        """Return the number of conversations with a known time per token."""
        return len({logged.request.conversation for logged in self._kept if logged.request.tpot is not None})

    def traffic(self, *, streams: bool, tokens: bool) -> Traffic:
        """Return the kept requests, with times to the first token only of streams, or only of the other answers
        (`streams`), and with times per token if `tokens`."""
        return Traffic(
            tuple(_without(logged, ttft=logged.streamed is not streams, tpot=not tokens) for logged in self._kept)
        )

    def newest(self) -> Traffic:
        """Return the requests of the six newest reads that had some, and of more if these have fewer than twenty
        conversations. They show how the version does now, however long it has done well before."""
        return Traffic(tuple(chain.from_iterable(self._newest)))

    def add(self, found: Iterable[LoggedRequest]) -> None:
        """Add what one read of the log has found."""
        read = list(found)
        self.count += len(read)
        self._kept += self._drawn(read, self._share)
        while len(self._kept) > MOST:
            self._share /= 2
            self._kept = self._drawn(self._kept, 0.5)
        self._renew([logged.request for logged in read])

    def _renew(self, read: list[Request]) -> None:
        if read:
            self._newest.append(read)
        while len(self._newest) > _NEWEST_READS and self._conversations_after_the_oldest() >= NEWEST_CONVERSATIONS:
            self._newest.popleft()

    def _conversations_after_the_oldest(self) -> int:
        later = islice(self._newest, 1, None)
        return len({request.conversation for request in chain.from_iterable(later)})

    def _drawn(self, found: Iterable[LoggedRequest], share: float) -> list[LoggedRequest]:
        return [logged for logged in found if self._lots.random() < share]


def traffic_of(running: Seen, candidate: Seen) -> tuple[Traffic, Traffic]:
    """Return both versions' traffic, with the times of one kind of answer only: the first byte of an answer that
    isn't streamed arrives when a stream would send its last. If most answers are streams, times per token are used
    only if enough of the others have them: the trial shouldn't wait for a few."""
    sides = (running, candidate)
    streamed, others = (sum(side.answers(streamed=kind) for side in sides) for kind in (True, False))
    streams = streamed >= others
    tokens = not streams or min(side.with_tokens for side in sides) >= _TOKENS
    return running.traffic(streams=streams, tokens=tokens), candidate.traffic(streams=streams, tokens=tokens)


def _without(logged: LoggedRequest, *, ttft: bool, tpot: bool) -> Request:
    request = replace(logged.request, ttft=None) if ttft else logged.request
    return replace(request, tpot=None) if tpot else request


def asked_of_canary(lines: Iterable[Access], canary: str) -> Iterator[LoggedRequest]:
    """Given lines of the log, yield the requests of the conversations that the canary (HOST/MODEL@N) answers.
    Requests that the client did wrong, or aborted during the answer, are left out: they say nothing about a
    version."""
    for line in lines:
        if line.canary and _counts(line):
            yield _request(line, failed_over=line.replica != canary)


def asked_of_running(lines: Iterable[Access], others: Collection[str], share: float) -> Iterator[LoggedRequest]:
    """Yield the requests that replicas with the previous version (`others`) answer, or no replica.

    Conversations whose number is within the canary's present share are left out: they started when its share was
    smaller, so they are older than any that the canary has.
    """
    for line in lines:
        older = line.conversation is not None and line.conversation < parts_of(share)
        if line.canary is False and not older and (line.replica is None or line.replica in others) and _counts(line):
            yield _request(line, failed_over=False)


def asked_of_side(lines: Iterable[Access], side: Side, share: float) -> Iterator[LoggedRequest]:
    """Yield the requests of a cutover's conversations that this side answers.

    Of the cloud's, conversations whose number is within the fleet's present share are left out, as for a canary. The
    fleet has failed those that fell back to the cloud, whatever the answer was.
    """
    for line in lines:
        if line.side == "fallback" and side == "fleet" and line.conversation is not None:
            yield _request(line, failed_over=True)
        if line.side != side or line.conversation is None or not _counts(line):
            continue
        if side == "fleet" or line.conversation >= parts_of(share):
            yield _request(line, failed_over=False)


def _counts(line: Access) -> bool:
    if line.end == "client_aborted":
        # A request that still waits for a slot has not reached either version.
        return line.first_byte_ms is None and None not in (line.replica, line.queued_ms, line.total_ms)
    return line.end in _FAULTS or not (line.end == "refused" or 400 <= line.status < 500)


def _request(line: Access, *, failed_over: bool) -> LoggedRequest:
    """If another replica had to answer for the canary, the canary failed the request, whatever the answer was."""
    conversation = str(line.conversation)
    if line.end == "client_aborted" and line.total_ms is not None:
        # The client waited this long, and would have had to wait longer.
        waited = Request(conversation, error=False, ttft=_seconds(line.total_ms, line))
        return LoggedRequest(waited, streamed=bool(line.stream))
    if failed_over or line.end in _FAULTS or line.status >= 500:
        return LoggedRequest(Request(conversation, error=True), streamed=bool(line.stream))
    first = None if line.first_byte_ms is None else _seconds(line.first_byte_ms, line)
    return LoggedRequest(
        Request(conversation, error=False, ttft=first, tpot=_each_token(line)), streamed=bool(line.stream)
    )


def _each_token(line: Access) -> float | None:
    """Return seconds per token, including the time for the prompt. Known only for answers that aren't streamed: the
    tokens of streams aren't counted."""
    if not line.completion_tokens or line.total_ms is None:
        return None
    return _seconds(line.total_ms, line) / line.completion_tokens


def _seconds(milliseconds: int, line: Access) -> float:
    """Return seconds without the wait for a slot, which depends on the load."""
    # The log's clocks may differ by a millisecond.
    return max(milliseconds - (line.queued_ms or 0), 1) / 1000
