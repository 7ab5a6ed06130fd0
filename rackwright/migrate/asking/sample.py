"""Which recorded requests are replayed: evenly over the provider's models and over days, and the same each time."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heappush, heapreplace
from typing import NamedTuple

from rackwright.migrate.asking.request_body import PATHS, costs_more, lacks_media
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.request_size import body_size

_DAY = 86_400
_MOST_REASONS = 50
"""A log may name any number of models."""


class Drawn(NamedTuple):
    """A request of the sample."""

    id: str
    file: str
    """Of the folder."""
    usual: float
    """What asking the cloud once probably costs."""
    most: float
    """What it may cost."""


@dataclass(frozen=True)
class Sample:
    drawn: tuple[Drawn, ...]
    """In the order in which they are asked: after any number of them, models and days are even."""
    recorded: int
    """How many requests could have been drawn."""
    left_out: Mapping[str, int]
    """Why others couldn't → how many."""


class _Ranked(NamedTuple):
    """Orders a heap whose first item is the worst one to have."""

    inverse: int
    drawn: Drawn


@dataclass
class _Group:
    """The best requests of one model on one day."""

    heap: list[_Ranked] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def wants(self, id: str, inverse: int, most: int) -> bool:
        return id not in self.ids and (len(self.heap) < most or inverse > self.heap[0].inverse)

    def add(self, one: _Ranked, most: int) -> None:
        if len(self.heap) < most:
            heappush(self.heap, one)
        else:
            self.ids.discard(heapreplace(self.heap, one).drawn.id)
        self.ids.add(one.drawn.id)


def draw(
    requests: Iterable[tuple[str, RecordedRequest]],
    models: Collection[str],
    size: int,
    answered: Collection[str],
    seed: str,
    price: Callable[[RecordedRequest], tuple[float, float]],
    max_request: int | None = None,
) -> Sample:
    """Return a sample of at most `size` of the requests, which come with their file's name.

    `answered`: ids that the cloud has answered already; they are drawn first, because they are paid for. `price`:
    returns what asking the cloud once probably costs, and what it may cost. `max_request`: bytes of the largest body
    that the gateways take; None: any. Memory depends on `size`, models and days, not on how many requests there are.
    """
    groups: dict[tuple[str, int | None], _Group] = {}
    recorded, left_out = 0, Counter[str]()
    for file, request in requests:
        if why := _left_out(request, models, max_request):
            left_out[why if why in left_out or len(left_out) < _MOST_REASONS else "other models"] += 1
            continue
        recorded += 1
        day = None if request.arrived is None else int(request.arrived // _DAY)
        group = groups.setdefault((request.model, day), _Group())
        inverse = _inverse(request.id, answered, seed)
        if group.wants(request.id, inverse, size):
            group.add(_Ranked(inverse, Drawn(request.id, file, *price(request))), size)
    return Sample(_even(groups.values(), size), recorded, dict(left_out))


def _left_out(request: RecordedRequest, models: Collection[str], max_request: int | None) -> str:
    if request.path not in PATHS:
        return f"{request.path[:40]} isn't replayed"
    if request.model not in models:
        return f"{request.model[:60]} isn't in the plan's models"
    if lacks_media(request.body):
        return "images, sounds and files aren't recorded"
    if costs_more(request.body):
        return "charged for more than tokens: a search, a sound or a file"
    too_large = max_request is not None and body_size(request.body) > max_request
    return "its body is larger than gateway.max_request" if too_large else ""


def _inverse(id: str, answered: Collection[str], seed: str) -> int:
    digest = int.from_bytes(hashlib.sha256(f"{seed}\0{id}".encode("utf-8", "replace")).digest()[:8])
    return digest | (id in answered) << 64


def _even(groups: Iterable[_Group], size: int) -> tuple[Drawn, ...]:
    """Return the first of every group, then the second of every group, and so on."""
    ranked = [(rank, one) for group in groups for rank, one in enumerate(sorted(group.heap, reverse=True))]
    ranked.sort(key=lambda item: (item[0], -item[1].inverse, item[1].drawn.id))
    return tuple(one.drawn for _, one in ranked[:size])
