"""What the gateways' access log tells of both versions. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from rackwright.gateway import parts_of
from rackwright.roles.gateway.access_log import Access
from rackwright.verdict import Request, Traffic

_FAULTS = ("timeout", "server_error", "gateway_error", "killed")
"""Ends that are no client's fault."""
MOST = 20_000
"""Requests of one version that are judged: more of them tell nothing new."""
_TOKENS = 200
"""Conversations with a known time per token of which the 95th of 100 is known, too."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """What a line tells of a request."""

    request: Request
    """The time to its first token is that to the first byte of its answer."""
    streamed: bool


@dataclass
class Seen:
    """One version's requests, as they come. Of too many every second one is kept, by lot, then every fourth …

    That leaves nearly all conversations, which count for more than their requests.
    """

    count: int = 0
    """Of all."""
    _kept: list[LoggedRequest] = field(default_factory=list)
    _share: float = 1.0
    """Of all requests, that is kept."""
    _lots: Random = field(default_factory=lambda: Random(20261128))  # noqa: S311 (no secret)

    def answers(self, *, streamed: bool) -> int:
        return sum(reply.streamed is streamed and reply.request.ttft is not None for reply in self._kept)

    @property
    def with_tokens(self) -> int:
        """Conversations with a known time per token."""
        return len({reply.request.conversation for reply in self._kept if reply.request.tpot is not None})

    def traffic(self, *, streams: bool, tokens: bool) -> Traffic:
        """Return what is kept, with the times to the first token of streams or of the others, and maybe per token."""
        return Traffic(
            tuple(_without(reply, ttft=reply.streamed is not streams, tpot=not tokens) for reply in self._kept)
        )

    def add(self, found: Iterable[LoggedRequest]) -> None:
        for reply in found:
            self.count += 1
            self._kept += self._drawn([reply], self._share)
        while len(self._kept) > MOST:
            self._share /= 2
            self._kept = self._drawn(self._kept, 0.5)

    def _drawn(self, found: Iterable[LoggedRequest], share: float) -> list[LoggedRequest]:
        return [reply for reply in found if self._lots.random() < share]


def traffic_of(running: Seen, candidate: Seen) -> tuple[Traffic, Traffic]:
    """Return both versions' traffic with the times of one kind of answers: an answer in one piece has its first byte
    when a stream has its last. Of a few that aren't streams nobody waits to know the time per token."""
    sides = (running, candidate)
    streamed, others = (sum(side.answers(streamed=kind) for side in sides) for kind in (True, False))
    streams = streamed >= others
    tokens = not streams or min(side.with_tokens for side in sides) >= _TOKENS
    return running.traffic(streams=streams, tokens=tokens), candidate.traffic(streams=streams, tokens=tokens)


def _without(reply: LoggedRequest, *, ttft: bool, tpot: bool) -> Request:
    request = replace(reply.request, ttft=None) if ttft else reply.request
    return replace(request, tpot=None) if tpot else request


def asked_of_canary(lines: Iterable[Access], canary: str) -> Iterator[LoggedRequest]:
    """Given lines of the log, yield the requests of conversations that the canary (HOST/MODEL@N) answers. What the
    client did wrong tells nothing of a version, nor what it gave up amid the answer."""
    for line in lines:
        if line.canary and _counts(line):
            yield _request(line, failed_over=line.replica != canary)


def asked_of_running(lines: Iterable[Access], others: Collection[str], share: float) -> Iterator[LoggedRequest]:
    """Yield those that replicas with the version before (`beside`) answer, or nobody.

    Of the conversations whose number is the canary's share of per cent by now, those that go on began when it had
    less: older ones than the canary has.
    """
    for line in lines:
        older = line.conversation is not None and line.conversation < parts_of(share)
        if line.canary is False and not older and (line.replica is None or line.replica in others) and _counts(line):
            yield _request(line, failed_over=False)


def _counts(line: Access) -> bool:
    if line.end == "client_aborted":
        # Of one that waits for a slot still, no version has had it.
        return line.first_byte_ms is None and None not in (line.replica, line.queued_ms, line.total_ms)
    return line.end in _FAULTS or not (line.end == "refused" or 400 <= line.status < 500)


def _request(line: Access, *, failed_over: bool) -> LoggedRequest:
    """A canary that another replica had to stand in for failed the request, however it was answered."""
    conversation = str(line.conversation)
    if line.end == "client_aborted" and line.total_ms is not None:
        # It waited so long, and would have had to for longer.
        waited = Request(conversation, error=False, ttft=_seconds(line.total_ms, line))
        return LoggedRequest(waited, streamed=bool(line.stream))
    if failed_over or line.end in _FAULTS or line.status >= 500:
        return LoggedRequest(Request(conversation, error=True), streamed=bool(line.stream))
    first = None if line.first_byte_ms is None else _seconds(line.first_byte_ms, line)
    return LoggedRequest(
        Request(conversation, error=False, ttft=first, tpot=_each_token(line)), streamed=bool(line.stream)
    )


def _each_token(line: Access) -> float | None:
    """Of an answer in one piece, with the prompt's part in it: nobody counts the tokens of streams."""
    if not line.completion_tokens or line.total_ms is None:
        return None
    return _seconds(line.total_ms, line) / line.completion_tokens


def _seconds(milliseconds: int, line: Access) -> float:
    """Without the wait for a slot, which tells of how much there was to do."""
    # The log's clocks may differ by a millisecond.
    return max(milliseconds - (line.queued_ms or 0), 1) / 1000
