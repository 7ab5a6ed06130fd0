"""The result of each request of a load."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    COMPLETION = "completion"
    STREAM = "stream"
    LONG = "long stream"


@dataclass(frozen=True)
class Sample:
    number: int
    kind: Kind
    kept_alive: bool
    """Over a connection that may have carried other requests; otherwise, over its own."""
    gateway: str
    began: float
    """Seconds since 1970."""
    seconds: float
    first: float | None
    """Seconds to its first token, for a stream."""
    wanted: int
    """Tokens asked for."""
    tokens: int
    """Tokens that arrived."""
    fingerprint: str | None
    """The engine's name for what it serves."""
    request: str | None
    """x-request-id, as in the gateway's log."""
    failure: str | None
    """Why it doesn't count as answered; None if the whole answer arrived."""
    detail: str = ""


@dataclass(frozen=True)
class Counted:
    """The totals of a load."""

    asked: int
    whole: int
    long: int
    """How many of those were long streams."""
    failures: dict[str, int]
    fingerprints: dict[str, int]

    @property
    def lost(self) -> int:
        return self.asked - self.whole


def counted(samples: Iterable[Sample]) -> Counted:
    samples = list(samples)
    failures = Counter(sample.failure for sample in samples if sample.failure)
    fingerprints = Counter(sample.fingerprint for sample in samples if sample.fingerprint)
    return Counted(
        asked=len(samples),
        whole=sum(not sample.failure for sample in samples),
        long=sum(sample.kind is Kind.LONG for sample in samples),
        failures=dict(failures),
        fingerprints=dict(fingerprints),
    )


def written(sample: Sample) -> str:
    return json.dumps(asdict(sample))


def read(path: Path) -> tuple[Sample, ...]:
    """Return the samples in a file of lines."""
    return tuple(
        Sample(**{**told, "kind": Kind(told["kind"])}) for told in map(json.loads, path.read_text().splitlines())
    )
