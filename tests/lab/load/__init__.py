"""A constant load of completions and streams on a fleet's gateways. The client of each request judges the answer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.lab.load.sample import Counted, Sample, read

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Plan:
    """What is asked, at which gateways, and how often."""

    gateways: tuple[str, ...]
    """Their addresses."""
    ca: str
    """File with the CA."""
    key: str = field(repr=False)
    samples: str
    """A file that has a line for each request afterwards."""
    rate: float = 20
    """Requests per second."""
    tokens: int = 4
    long_tokens: int = 120
    """Tokens of a long stream: at the engine's pace, it should last longer than a step of a drain."""
    rhythm: str = "cscclccsc"
    """The kinds in turn: c completion, s stream, l long stream. Their number is odd, so that each kind is sent over
    each connection: each gateway has two."""
    kept: int = 1
    """How many clients of each gateway keep their connections. They take turns: with many, most are idle for long."""
    most: int = 100_000
    in_flight: int = 100_000
    """With this many requests in flight, the load sends no more until one is answered. Engines that compute on a busy
    machine answer fewer than `rate`, and everything beyond that would only wait until it is refused."""
    exact: bool = True
    """Each token arrives in its own chunk, as from the paced stand-in."""


class Load:
    """A running load."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(plan)) + "\n")
        self._process.stdin.flush()

    def wait_running(self) -> None:
        """Wait until a first long stream has ended: from then on, some are always in flight."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "running\n", "the load ended before a long stream did"

    def stop(self) -> Counted:
        """Stop sending requests, and return when all those in flight have ended."""
        told, _ = self._process.communicate(timeout=300)
        assert self._process.returncode == 0
        return Counted(**json.loads(told.splitlines()[-1]))

    def end(self) -> None:
        """End the load immediately, with requests in flight."""
        self._process.kill()
        self._process.wait()

    @property
    def samples(self) -> tuple[Sample, ...]:
        return read(Path(self.plan.samples))


@contextmanager
def loaded(plan: Plan) -> Iterator[Load]:
    """Run the load, with long streams in flight. It ends with the block, even after an error."""
    load = Load(plan)
    try:
        load.wait_running()
        yield load
    finally:
        load.end()
