"""Runs the command line with shorter steps: a replay writes answers after each few, and a capacity tries two rates.

Otherwise a sample of 40 requests would have one part only, and the search for the highest rate would take minutes.
"""

from __future__ import annotations

import sys

from rackwright.__main__ import main
from rackwright.cli.common.context import hosts_needed
from tests.lab.operator import Operator

PART = 10
RATES = 2


class SmallSteps(Operator):
    """An operator whose commands this program runs."""

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", __name__, "-f", str(self.path), *words]


def take_small_steps() -> None:
    # As a command does: before it imports what uses sockets and threads.
    hosts_needed()
    from rackwright.lifecycle.bench import knee
    from rackwright.lifecycle.migrate.capacity import rate_search
    from rackwright.lifecycle.migrate.replay import replay

    assert replay.IN_FILE > PART
    assert rate_search.MOST_STEPS == knee.MOST_STEPS > RATES
    replay.IN_FILE = PART
    rate_search.MOST_STEPS = knee.MOST_STEPS = RATES


if __name__ == "__main__":
    take_small_steps()
    main(sys.argv[1:])
