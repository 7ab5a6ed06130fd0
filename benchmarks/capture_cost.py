"""The latency that recording every request adds at a gateway, compared with the same gateway that records none.

The gateway has the configuration that rackwright renders, and sends the copies to the real unit, which redacts and
encrypts them. One client asks over one connection that stays open: 1 kB in, 1 kB out. Blocks of 1,000 requests with
and without recording take turns, in several rounds. Target: the median is at most 0.2 ms higher.

    python -m benchmarks.capture_cost [--rounds 5] [--blocks 4]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.gateway_overhead import ask, connection, responder
from benchmarks.measure import keep
from tests.capture_unit import CaptureUnit
from tests.gateway.stack import Stack, eventually, running_stack

TARGET_MS = 0.2
BLOCK = 1000
"""Longer than copies wait, so that a block with recording pays for most of its own deliveries."""
SIDES = ("off", "on")


@contextmanager
def recording() -> Iterator[tuple[Stack, CaptureUnit]]:
    with running_stack(responder, sooner=False) as stack:
        unit = CaptureUnit(stack.folder / "capture")
        unit.order()
        unit.start()
        assert unit.process
        # As its unit has it: answers have priority.
        os.setpriority(os.PRIO_PROCESS, unit.process.pid, 10)
        try:
            stack.write(stack.settings.model_copy(update={"captures": str(unit.socket)}))
            stack.gateway.reload()
            yield stack, unit
        finally:
            unit.kill()


def record(stack: Stack, side: str) -> None:
    place = Path(stack.gateway.paths.configuration, "captures.map")
    stack.gateway.ask(f"clear map {place}")
    if side == "on":
        stack.gateway.ask(f"add map {place} assistant 10000|{int(time.time()) + 3600}|1048576")


def measure(rounds: int, blocks: int) -> tuple[list[dict[str, list[float]]], str, bool]:
    """Return each round's samples in milliseconds, what was recorded, and whether each copy is accounted for."""
    found = []
    asked = 0
    with recording() as (stack, unit):
        opened = connection(stack, stack.settings.port)
        for _ in range(300):
            ask(opened)
        for _ in range(rounds):
            samples: dict[str, list[float]] = {side: [] for side in SIDES}
            for number in range(blocks):
                for side in SIDES if number % 2 else reversed(SIDES):
                    record(stack, side)
                    samples[side] += [ask(opened) for _ in range(BLOCK)]
                    asked += BLOCK if side == "on" else 0
            found.append(samples)
        record(stack, "off")
        eventually(lambda: _kept(unit) >= asked)
        words = f"{unit.state['recorded']} of {asked} recorded, dropped: {unit.state['dropped'] or 'none'}"
        return found, words, _kept(unit) == asked


def _kept(unit: CaptureUnit) -> int:
    unit.reload()
    return int(unit.state["recorded"] + unit.lost())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--blocks", type=int, default=4)
    given = parser.parse_args()
    found, recorded, accounted = measure(given.rounds, given.blocks)
    percentiles = [{side: statistics.quantiles(samples[side], n=100) for side in SIDES} for samples in found]
    keep("capture_cost", {"unit": "ms", "recorded": recorded, "rounds": percentiles})
    added = []
    for one in percentiles:
        off, on = (one[side][49] for side in SIDES)
        late = one["on"][98] - one["off"][98]
        added.append(on - off)
        print(f"off {off:.3f} ms   on {on:.3f} ms   added {on - off:+.3f} ms   p99 {late:+.3f} ms")
    worst = max(added)
    print(f"added, median: {statistics.median(added):.3f} ms, worst round {worst:.3f} ms   target ≤ {TARGET_MS} ms")
    print(recorded)
    return 0 if statistics.median(added) <= TARGET_MS and accounted else 1


if __name__ == "__main__":
    raise SystemExit(main())
