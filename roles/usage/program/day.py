"""One day of a gateway's usage, the part of usage/1 that is kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_ROWS = 50_000
"""Of one day. Requests of further ones count as lost, so that the figures never look complete and aren't."""
MOST_MODELS = 1000
MOST_REPLICAS = 1000
MOST_GAPS = 16
EDGES = (
    *(50, 100, 150, 200, 300, 400, 500, 750, 1000, 1500, 2000, 3000, 5000, 7500),
    *(10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000),
)
"""Milliseconds. Each count of a histogram is of the times from the edge before up to its own, without that."""
COLUMNS = (
    *("completed", "cancelled", "interrupted", "rejected"),
    *("prompt_tokens", "cached_tokens", "completion_tokens", "estimated", "milliseconds"),
)
"""What is counted of each row, in this order: requests by outcome, tokens, requests whose tokens are estimates, and
the time that requests took."""
PROMPT, CACHED, COMPLETION, ESTIMATED, MILLISECONDS = range(4, 9)


class Row(NamedTuple):
    """What is counted together."""

    key: str
    """The API key's id."""
    owner: str
    """Its owner when the request came; "": the gateway didn't know."""
    model: str
    """"": it was refused before its model was known."""


class Ended(NamedTuple):
    """A request that has ended."""

    at: int
    """When, in Unix milliseconds."""
    row: Row
    outcome: int
    """An index of COLUMNS."""
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    estimated: bool
    first_byte_ms: int | None
    """None: it got no answer."""
    milliseconds: int
    replica: str = ""
    """HOST/MODEL@N; "": none got it."""

    @property
    def tokens(self) -> int:
        """What counts against a quota."""
        return self.prompt_tokens + self.completion_tokens


@dataclass
class Latency:
    """The histograms of one model: up to the first byte of the answer, and up to its end. Completed requests only."""

    first_byte: list[int] = field(default_factory=lambda: [0] * (len(EDGES) + 1))
    total: list[int] = field(default_factory=lambda: [0] * (len(EDGES) + 1))


@dataclass
class Day:
    """What ended at this gateway on one day."""

    day: int
    """Days since 1970, UTC."""
    rows: dict[Row, list[int]] = field(default_factory=dict)
    latency: dict[str, Latency] = field(default_factory=dict)
    reuse: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Replica → tokens of prompts, and those of them that its engine took from its cache. Estimates are left out."""
    lost: int = 0
    """Requests that aren't in `rows`: not logged, their line can't be read, or there are too many rows."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Where the journal had removed lines before they were read: after when, and before when, Unix milliseconds."""

    def count(self, ended: Ended) -> None:
        """Count a request."""
        sums = self.rows.get(ended.row)
        if sums is None:
            if len(self.rows) >= MOST_ROWS:
                self.lost += 1
                return
            sums = self.rows[ended.row] = [0] * len(COLUMNS)
        sums[ended.outcome] += 1
        sums[PROMPT] += ended.prompt_tokens
        sums[CACHED] += ended.cached_tokens
        sums[COMPLETION] += ended.completion_tokens
        sums[ESTIMATED] += ended.estimated
        sums[MILLISECONDS] += ended.milliseconds
        if ended.outcome == 0 and ended.row.model:
            self._time(ended)
        if ended.replica and not ended.estimated:
            self._add_reuse(ended.replica, ended.prompt_tokens, ended.cached_tokens)

    def add(self, other: Day) -> None:
        """Add what another document has of the same day."""
        for row, sums in other.rows.items():
            if row in self.rows or len(self.rows) < MOST_ROWS:
                self.rows[row] = added(self.rows.get(row, [0] * len(COLUMNS)), sums)
            else:
                self.lost += sum(sums[:PROMPT])
        for model, latency in other.latency.items():
            if model in self.latency or len(self.latency) < MOST_MODELS:
                known = self.latency.get(model, Latency())
                first, total = added(known.first_byte, latency.first_byte), added(known.total, latency.total)
                self.latency[model] = Latency(first, total)
        for replica, tokens in other.reuse.items():
            self._add_reuse(replica, *tokens)
        self.lost += other.lost
        self.gaps = sorted([*other.gaps, *self.gaps])[-MOST_GAPS:]

    def note_gap(self, after: int, before: int) -> None:
        """Note that lines between these times are lost."""
        self.gaps = [*self.gaps, (after, before)][-MOST_GAPS:]

    def _add_reuse(self, replica: str, prompt: int, cached: int) -> None:
        if replica in self.reuse or len(self.reuse) < MOST_REPLICAS:
            known = self.reuse.get(replica, (0, 0))
            self.reuse[replica] = known[0] + prompt, known[1] + cached

    def _time(self, ended: Ended) -> None:
        latency = self.latency.get(ended.row.model)
        if latency is None:
            if len(self.latency) >= MOST_MODELS:
                return
            latency = self.latency[ended.row.model] = Latency()
        if ended.first_byte_ms is not None:
            latency.first_byte[bisect_right(EDGES, ended.first_byte_ms)] += 1
        latency.total[bisect_right(EDGES, ended.milliseconds)] += 1


def added(one: Iterable[int], other: Iterable[int]) -> list[int]:
    """Return the sums of two rows or histograms."""
    return [first + second for first, second in zip(one, other, strict=True)]
