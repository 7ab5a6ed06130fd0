"""Recorded traffic to one model of the fleet: when requests arrived, how long they are, and those of one window."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.capacity.answer_lengths import AnswerLengths, answer_lengths
from rackwright.migrate.capacity.busiest import Arrivals, Window, arrivals
from rackwright.migrate.capacity.lengths import Basis, Length, length_of
from rackwright.migrate.lines import parsed
from rackwright.migrate.recorded_request import RecordedRequest

MOST = 2000
"""Requests of a window, and characters of them, that are kept in memory: of more, every second, third and so on, so
that they are from all of the window, as close together in each part of it as they were."""
MOST_CHARACTERS = 64 * 2**20
MOST_LENGTH = 2**31 - 1


@dataclass
class Traffic:
    """All recorded requests to some of the provider's models."""

    place: Place = field(repr=False)
    names: frozenset[str]
    """The models."""
    answers: AnswerLengths = field(repr=False)
    lengths: array[int] = field(default_factory=lambda: array("i"), repr=False)
    """Tokens of each request and its answer, at most MOST_LENGTH."""
    counted: int = 0
    """How many of these the provider counted."""
    bases: Counter[Basis] = field(default_factory=Counter)
    """What the lengths of answers are based on → how many."""
    arrivals: Arrivals = field(default_factory=lambda: arrivals((), ()), repr=False)
    left_out: Counter[str] = field(default_factory=Counter)

    def length(self, request: RecordedRequest) -> Length:
        return length_of(request, self.answers)

    def within(self, window: Window) -> tuple[RecordedRequest, ...]:
        """Return the window's requests in the order of their arrival, as many as memory allows."""
        found: list[tuple[float, str, RecordedRequest, int]] = []
        size, step, number = 0, 1, 0
        for line, request in _requests(self.place, self.names):
            at = request.arrived
            if at is None or not window.start <= at < window.start + window.seconds:
                continue
            if number % step == 0:
                found.append((at, request.id, request, len(line)))
                size += len(line)
            number += 1
            if len(found) > 1 and (len(found) > MOST or size > MOST_CHARACTERS):
                found, step = found[::2], step * 2
                size = sum(one[3] for one in found)
        return tuple(request for _, _, request, _ in sorted(found, key=lambda one: one[:2]))


def traffic(place: Place, names: frozenset[str]) -> Traffic:
    """Read the folder. Raise RackwrightError if a file or a line of it can't be read."""
    found = Traffic(place, names, answer_lengths(place.folder))
    times, weights, sample = array("d"), array("d"), 100 / place.plan.capture.share
    for _, request in _requests(place, names):
        length = found.length(request)
        found.lengths.append(min(length.whole, MOST_LENGTH))
        found.counted += length.counted
        found.bases[length.basis] += 1
        if request.arrived is None:
            found.left_out["its time isn't known"] += 1
        else:
            times.append(request.arrived)
            weights.append(sample if request.origin == "capture" else 1.0)
    found.arrivals = arrivals(times, weights)
    return found


def _requests(place: Place, names: frozenset[str]) -> Iterator[tuple[str, RecordedRequest]]:
    for line in place.folder.read("requests"):
        request = parsed(line, RecordedRequest, "requests")
        if request.model in names:
            yield line, request
