"""A constant load of completions and streams on a fleet's gateways, each judged by the client that asked."""

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
    """What is asked, of whom, how often."""

    gateways: tuple[str, ...]
    """Their addresses."""
    ca: str
    """File with the CA."""
    key: str = field(repr=False)
    samples: str
    """File that has a line for each request afterwards."""
    rate: float = 20
    """Requests a second."""
    tokens: int = 4
    long_tokens: int = 120
    """Of a long stream: at the engine's pace it should last longer than a step of a drain."""
    rhythm: str = "cscclccsc"
    """Of the kinds: c completion, s stream, l long stream. An odd number of them, so that each kind comes over each
    connection: of those there are two for each gateway."""
    kept: int = 1
    """Clients of each gateway that keep their connections, asked in turn: many are idle for long in between."""
    most: int = 100_000
    exact: bool = True
    """Each token comes as a chunk of its own, as from the paced stand-in."""


class Load:
    """A load that runs."""

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
        """A first long stream has ended: some are always in flight from then on."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "running\n", "the load ended before a long stream did"

    def stop(self) -> Counted:
        """It asks no more; return when all that is in flight has ended."""
        told, _ = self._process.communicate(timeout=300)
        assert self._process.returncode == 0
        return Counted(**json.loads(told.splitlines()[-1]))

    def end(self) -> None:
        """Gone, whatever is in flight."""
        self._process.kill()
        self._process.wait()

    @property
    def samples(self) -> tuple[Sample, ...]:
        return read(Path(self.plan.samples))


@contextmanager
def loaded(plan: Plan) -> Iterator[Load]:
    """The load runs, long streams in flight; gone at the block's end, however it ends."""
    load = Load(plan)
    try:
        load.wait_running()
        yield load
    finally:
        load.end()
