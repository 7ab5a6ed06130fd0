"""What the program keeps from one run to the next: where it stopped reading, the open days, and sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rackwright.roles.usage.program.day import Day, Ended
from rackwright.roles.usage.program.periods import DAY_MS, daily, kept, monthly

OPEN_SECONDS = 900
"""How long after its end a day stays open: its last lines may be read late."""
MOST_SUMS = 250_000


@dataclass(frozen=True, order=True)
class Sum:
    """What a sum is of."""

    kind: str
    """"key" or "owner"."""
    name: str
    period: str


@dataclass
class State:
    """A gateway's state. Times are Unix milliseconds."""

    gateway: str
    since: int = 0
    """When it began; a restore of a snapshot brings back one that began earlier, or this one as it was."""
    taken: int = 0
    """When HAProxy was asked last; 0: never."""
    cursor: str = ""
    """The journal's last line that was read; "": none."""
    last: str = ""
    """SHA-256 of that line."""
    read: int = 0
    """When the request of the last line that was counted ended."""
    workers: dict[int, int] = field(default_factory=dict)
    """Process id of each worker → how many lines it could not log."""
    days: dict[int, Day] = field(default_factory=dict)
    """The days that are open. One that isn't is in a document of its own."""
    used: dict[Sum, int] = field(default_factory=dict)
    """Tokens at this gateway."""
    copies: dict[str, dict[Sum, int]] = field(default_factory=dict)
    """The other gateways' sums, as far as they are known here: also of one that is lost."""

    def day(self, number: int) -> Day:
        """Return the open day of this number."""
        return self.days.setdefault(number, Day(number))

    def count(self, ended: Ended, today: int) -> None:
        """Count a request on the day when it ended."""
        number = min(ended.at // DAY_MS, today + 1)
        self.day(number).count(ended)
        self.read = max(self.read, ended.at)
        if not ended.tokens:
            return
        for period in (daily(number), monthly(number)):
            self._add(Sum("key", ended.row.key, period), ended.tokens)
            if ended.row.owner:
                self._add(Sum("owner", ended.row.owner, period), ended.tokens)

    def note_dropped(self, dropped: Mapping[int, int], today: int) -> None:
        """Note how many lines each running worker could not log. One that has a process id again begins at 0."""
        more = 0
        for worker, number in dropped.items():
            before = self.workers.get(worker, 0)
            more += number - before if number >= before else number
        self.workers = dict(dropped)
        if more:
            self.day(today).lost += more

    def learn(self, gateway: str, sums: Mapping[Sum, int]) -> None:
        """Note what a gateway has used, unless more is known: HAProxy forgets it, and this document may be old."""
        known = self.used if gateway == self.gateway else self.copies.setdefault(gateway, {})
        for which, tokens in sums.items():
            known[which] = max(tokens, known.get(which, 0))

    def join(self, restored: State) -> None:
        """Add what was counted before this state began, by the restored one, which then counts as its beginning.

        Its sums may be known here already: the other gateways have them, too.
        """
        for number, day in restored.days.items():
            self.day(number).add(day)
        self.day(self.since // DAY_MS).note_gap(restored.read, self.since)
        for gateway, sums in {**restored.copies, self.gateway: restored.used}.items():
            self.learn(gateway, sums)
        self.read, self.since = max(self.read, restored.read), restored.since

    def total(self, which: Sum) -> int:
        """Return the tokens at all gateways."""
        return self.used.get(which, 0) + sum(sums.get(which, 0) for sums in self.copies.values())

    def forget(self, today: int) -> None:
        """Forget the sums of periods that are over."""
        periods = kept(today)
        self.used = _within(self.used, periods)
        copies = {gateway: _within(sums, periods) for gateway, sums in self.copies.items()}
        self.copies = {gateway: sums for gateway, sums in copies.items() if sums}

    def ended_days(self, now: int) -> Iterator[Day]:
        """Yield the open days that are over."""
        newest = (now - OPEN_SECONDS * 1000) // DAY_MS
        yield from (day for number, day in sorted(self.days.items()) if number < newest)

    def _add(self, which: Sum, tokens: int) -> None:
        known = self.used.get(which)
        if known is not None or len(self.used) < MOST_SUMS:
            self.used[which] = (known or 0) + tokens


def _within(sums: dict[Sum, int], periods: frozenset[str]) -> dict[Sum, int]:
    return {which: tokens for which, tokens in sums.items() if which.period in periods}
