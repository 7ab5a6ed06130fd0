"""Two versions of one model, simulated: clients with conversations, and a golden set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rackwright.verdict import Answer, Evidence, GoldenAnswers, Pair, Request, Thresholds, Traffic

Generator = np.random.Generator


@dataclass(frozen=True)
class Version:
    """The properties of one version."""

    errors: float = 0.004
    """Share of requests, twice the share in half of the conversations and none in the others."""
    slowness: float = 1.0
    """A factor of both times."""
    score: float = 0.86
    """Share of prompts that it answers as the check wants."""
    formats: float = 0.99
    """Share of valid formats."""
    broken: float = 0.0
    """Share of conversations of which every request fails, in addition to `errors`."""


@dataclass(frozen=True)
class Size:
    """The amount of evidence."""

    running: int = 400
    candidate: int = 130
    """Conversations."""
    each: int = 3
    """Requests of a conversation, on average."""
    prompts: int = 250
    """Half of them ask for a format."""


EQUAL = Version()
EDGE = Version(errors=0.014, slowness=1.25, score=EQUAL.score - 0.05 / 0.9, formats=EQUAL.formats - 0.05)
"""As bad as is just allowed, in everything. Five points of answers that pass are 0.05 / 0.9 of `score`: one in twenty
differs."""
AT_EDGE = Thresholds(ttft_p95=0.25, tpot_p95=0.25)
"""The limits at whose edge EDGE is: its slow requests are no slower than its others."""
USUAL = Size()


def evidence(rng: Generator, candidate: Version, running: Version = EQUAL, size: Size = USUAL) -> Evidence:
    return Evidence(
        running=traffic(rng, running, size.running, size.each),
        candidate=traffic(rng, candidate, size.candidate, size.each),
        golden=golden(rng, running, candidate, size.prompts),
    )


def traffic(rng: Generator, version: Version, conversations: int, each: int = 3) -> Traffic:
    """The requests of one conversation share a prompt length and a client's luck."""
    of = np.repeat(np.arange(conversations), rng.geometric(1 / each, conversations))
    unlucky = rng.integers(0, 2, conversations)[of] * 2 * version.errors
    failed = rng.random(len(of)) < unlucky
    ttft = 0.3 * version.slowness * np.exp(rng.normal(0, 0.5, conversations)[of] + rng.normal(0, 0.4, len(of)))
    tpot = 0.03 * version.slowness * np.exp(rng.normal(0, 0.2, conversations)[of] + rng.normal(0, 0.2, len(of)))
    if version.broken:
        failed |= rng.random(conversations)[of] < version.broken
    rows = zip(of.tolist(), failed.tolist(), ttft.round(3).tolist(), tpot.round(5).tolist(), strict=True)
    return Traffic(tuple(Request(f"c{name}", bad, *((None, None) if bad else times)) for name, bad, *times in rows))


def golden(rng: Generator, running: Version, candidate: Version, prompts: int) -> GoldenAnswers:
    """Prompts are hard or easy for every version; one answer in twenty differs when it is asked again."""
    hardness, length = rng.random(prompts), rng.normal(0, 0.6, prompts)
    asked = [_answers(rng, version, hardness, length) for version in (running, running, candidate)]
    names = [f"p{number}" for number in range(prompts)]
    first, again, other = asked
    pairs, floor = (tuple(map(Pair, names, first, second)) for second in (other, again))
    return GoldenAnswers("0" * 64, pairs, floor)


def _answers(rng: Generator, version: Version, hardness: np.ndarray, length: np.ndarray) -> list[Answer]:
    passed = (hardness < version.score) ^ (rng.random(len(hardness)) < 0.05)
    valid = rng.random(len(hardness)) < version.formats
    ttft = 0.2 * version.slowness * np.exp(length + rng.normal(0, 0.15, len(length)))
    tpot = 0.03 * version.slowness * np.exp(rng.normal(0, 0.08, len(length)))
    rows = zip(passed.tolist(), valid.tolist(), ttft.tolist(), tpot.tolist(), strict=True)
    return [Answer(ok, good if number % 2 else None, *times) for number, (ok, good, *times) in enumerate(rows)]
