"""How far the clocks of hosts are from the controller's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rackwright.errors import HostError
from rackwright.operations.facts.clock import CLOCK_COMMAND, Synchronized, parse_clock
from rackwright.remote import Remote
from rackwright.remote.answers import read_each


@dataclass(frozen=True)
class HostClock:
    offset: float
    """Seconds by which the host's clock is at least ahead of the controller's; negative: behind."""
    synchronized: Synchronized


def ask_clocks(
    remote: Remote,
    hosts: Iterable[str],
    *,
    wall: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> dict[str, HostClock | HostError]:
    """Ask hosts for the time, all at once. Changes nothing.

    The answer was given at some time between question and answer, which counts in the host's favor. The controller's
    clock is read once: it may be set while hosts answer.
    """
    asked, started = wall(), monotonic()
    answers = read_each(remote.run_on(tuple(hosts), CLOCK_COMMAND), "asking for the time", parse_clock)
    answered = asked + (monotonic() - started)
    return {
        name: found
        if isinstance(found, HostError)
        else HostClock(found.time - min(max(found.time, asked), answered), found.synchronized)
        for name, found in answers.items()
    }
