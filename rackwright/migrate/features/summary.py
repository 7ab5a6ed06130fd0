"""What recorded requests add up to, in the same memory for any number of them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rackwright.migrate.features.table import UNKNOWN
from rackwright.migrate.features.used import features_of
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.request_size import answer_limit, body_size, prompt_tokens
from rackwright.values.base import Stored

STEP = 1024
"""Prompts are counted by their number of tokens, in steps of this many."""
MOST_STEPS = 2048
MOST_MODELS = 1000
MOST_FEATURES = 500
MOST_HOURS = 20_000
MOST_MINUTES = 200_000
LARGEST = 5
OTHER = "others"


class Largest(Stored):
    """One of the largest requests."""

    id: str
    model: str
    bytes: int
    """Of its body, as JSON, with its images."""
    tokens: int
    """Of its prompt; counted by the provider, or estimated."""
    estimated: bool


class Tokens(Stored):
    """Token counts; those that the provider counted and those that rackwright estimated are kept apart."""

    known_requests: int = 0
    prompt: int = 0
    completion: int = 0
    estimated_requests: int = 0
    estimated_prompt: int = 0
    """From the number of characters."""


class ModelTraffic(Stored):
    """The requests for one of the provider's models."""

    requests: int
    features: Mapping[str, int] = {}
    """Name → how many requests use it."""
    tokens: Tokens = Tokens()
    contexts: Mapping[int, int] = {}
    """Tokens of the prompt plus the most that the answer may have, rounded up to `STEP` → requests."""
    too_large: int = 0
    """Requests with a larger body than the gateways take."""


class TrafficSummary(Stored):
    requests: int
    models: Mapping[str, ModelTraffic] = {}
    hours: Mapping[str, int] = {}
    """Hour in UTC, like 2026-12-01T18 → arrivals."""
    undated: int = 0
    """Requests whose log doesn't say when they arrived."""
    busiest_hour: str | None = None
    busiest_minute: str | None = None
    per_minute: int = 0
    """Arrivals in the busiest minute."""
    first: float | None = None
    last: float | None = None
    """Unix seconds."""
    largest_bodies: tuple[Largest, ...] = ()
    largest_contexts: tuple[Largest, ...] = ()


@dataclass
class _Model:
    requests: int = 0
    features: Counter[str] = field(default_factory=Counter)
    contexts: Counter[int] = field(default_factory=Counter)
    known: int = 0
    prompt: int = 0
    completion: int = 0
    estimated: int = 0
    estimated_prompt: int = 0
    too_large: int = 0

    def add(self, request: RecordedRequest, tokens: int, *, too_large: bool) -> None:
        self.requests += 1
        self.too_large += too_large
        for name in features_of(request):
            named = name in self.features or len(self.features) < MOST_FEATURES
            self.features[name if named else UNKNOWN + OTHER] += 1
        if request.prompt_tokens is None:
            self.estimated += 1
            self.estimated_prompt += tokens
        else:
            self.known += 1
            self.prompt += request.prompt_tokens
            self.completion += request.completion_tokens or 0
        steps = -(-(tokens + (answer_limit(request) or 0)) // STEP)
        self.contexts[min(max(steps, 1), MOST_STEPS) * STEP] += 1

    def traffic(self) -> ModelTraffic:
        tokens = Tokens(
            known_requests=self.known,
            prompt=self.prompt,
            completion=self.completion,
            estimated_requests=self.estimated,
            estimated_prompt=self.estimated_prompt,
        )
        return ModelTraffic(
            requests=self.requests,
            features=dict(self.features.most_common()),
            tokens=tokens,
            contexts=dict(sorted(self.contexts.items())),
            too_large=self.too_large,
        )


@dataclass
class _Arrivals:
    hours: Counter[str] = field(default_factory=Counter)
    minutes: Counter[int] = field(default_factory=Counter)
    undated: int = 0
    first: float | None = None
    last: float | None = None

    def add(self, arrived: float | None) -> None:
        hour = _hour(arrived) if arrived is not None else None
        if arrived is None or hour is None or (hour not in self.hours and len(self.hours) >= MOST_HOURS):
            self.undated += 1
            return
        self.hours[hour] += 1
        minute = int(arrived // 60)
        if minute in self.minutes or len(self.minutes) < MOST_MINUTES:
            self.minutes[minute] += 1
        self.first = arrived if self.first is None else min(self.first, arrived)
        self.last = arrived if self.last is None else max(self.last, arrived)


def summary(requests: Iterable[RecordedRequest], max_request: int | None = None) -> TrafficSummary:
    """Return what the requests add up to. Reads each once; models and features beyond the limits count as others.

    `max_request`: bytes of the largest body that the gateways take; None: not known.
    """
    models: dict[str, _Model] = {}
    arrivals = _Arrivals()
    bodies: list[tuple[int, int, Largest]] = []
    contexts: list[tuple[int, int, Largest]] = []
    number = 0
    for number, request in enumerate(requests, 1):
        size, tokens = body_size(request.body), prompt_tokens(request)
        name = request.model if request.model in models or len(models) < MOST_MODELS else OTHER
        models.setdefault(name, _Model()).add(
            request, tokens, too_large=max_request is not None and size > max_request
        )
        arrivals.add(request.arrived)
        one = Largest(
            id=request.id, model=request.model, bytes=size, tokens=tokens, estimated=request.prompt_tokens is None
        )
        _keep(bodies, (size, -number, one))
        _keep(contexts, (tokens, -number, one))
    busiest = arrivals.minutes.most_common(1)
    return TrafficSummary(
        requests=number,
        models={name: one.traffic() for name, one in sorted(models.items())},
        hours=dict(sorted(arrivals.hours.items())),
        undated=arrivals.undated,
        busiest_hour=max(arrivals.hours, key=lambda hour: arrivals.hours[hour], default=None),
        busiest_minute=_minute(busiest[0][0]) if busiest else None,
        per_minute=busiest[0][1] if busiest else 0,
        first=arrivals.first,
        last=arrivals.last,
        largest_bodies=tuple(one for _, _, one in sorted(bodies, reverse=True)),
        largest_contexts=tuple(one for _, _, one in sorted(contexts, reverse=True)),
    )


def _keep(heap: list[tuple[int, int, Largest]], one: tuple[int, int, Largest]) -> None:
    if len(heap) < LARGEST:
        heapq.heappush(heap, one)
    else:
        heapq.heappushpop(heap, one)


def _hour(arrived: float) -> str | None:
    try:
        return datetime.fromtimestamp(arrived, UTC).strftime("%Y-%m-%dT%H")
    except (ValueError, OverflowError, OSError):
        return None


def _minute(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M")
