"""Run rollouts in ten thousand random histories of a fleet: `python -m benchmarks.rollout_machine [COUNT] [SEED]`.

The real procedures run on a simulated fleet (tests/lifecycle/world). The script stops with an error at the first
history that fails. There is no peer.
"""

from __future__ import annotations

import random
import sys
import time

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.lifecycle.world.machine import RolloutMachine

COUNT = 10_000
STEPS = 12


class Counted(RolloutMachine):
    histories = 0
    runs = 0

    def teardown(self) -> None:
        super().teardown()
        Counted.histories += 1
        Counted.runs += self.begun


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    start = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**6)
    chosen = settings(
        max_examples=count,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    began = time.monotonic()
    try:
        run_state_machine_as_test(seed(start)(Counted), settings=chosen)
    finally:
        took = time.monotonic() - began
        print(f"{Counted.histories} histories with {Counted.runs} runs in {took:.0f} s, seed {start}")
    print("0 failures")


if __name__ == "__main__":
    main()
