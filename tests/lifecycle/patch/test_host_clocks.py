"""How far clocks are apart, and that gates ask real hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.patch.gates import look
from rackwright.lifecycle.patch.host_clocks import HostClock, ask_clocks
from rackwright.operations.facts.clock import Clock, Synchronized, parse_clock
from rackwright.remote import Completed, Remote
from tests.lifecycle.hostile import HOSTILE, session_with


class Answers:
    """Hosts that answer with a text; their answers take some seconds."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.now, self.waits = texts, 100.0, 20.0

    def run_on(self, names: tuple[str, ...], command: str) -> dict[str, Any]:
        self.now += self.waits
        return {name: Completed(0, text.encode()) for name, text in zip(names, self.texts, strict=True)}


@pytest.mark.parametrize(
    ("time", "offset"),
    [(1000, 0), (1010, 0), (1020, 0), (1321, 301), (699, -301)],
)
def test_a_clock_is_compared_with_the_time_of_the_question(time: int, offset: int) -> None:
    hosts = Answers(f"synchronized yes\ntime {time}.000000000\n")
    found = ask_clocks(cast(Remote, hosts), ["gpu1"], wall=lambda: 1000.0, monotonic=lambda: hosts.now)
    assert found == {"gpu1": HostClock(offset, Synchronized.YES)}


def test_setting_the_controllers_clock_meanwhile_changes_nothing() -> None:
    hosts = Answers("synchronized no\ntime 1010.500000000\n")
    # The second time it would be another day.
    walls = iter((1000.0, 90000.0))
    found = ask_clocks(cast(Remote, hosts), ["gpu1"], wall=lambda: next(walls), monotonic=lambda: hosts.now)
    assert found == {"gpu1": HostClock(0, Synchronized.NO)}


@pytest.mark.parametrize("text", ["", "time 5", "synchronized yes", "time -5.000000000", "time 9e9.000000000"])
def test_a_host_without_a_time_counts_as_not_asked(text: str) -> None:
    found = ask_clocks(cast(Remote, Answers(text)), ["gpu1"])
    assert isinstance(found["gpu1"], HostError)


@pytest.mark.parametrize(
    ("said", "read"),
    [("yes", "yes"), ("no", "no"), ("container", "container"), ("", "unknown"), ("maybe", "unknown")],
)
def test_only_known_words_say_whether_it_is_synchronized(said: str, read: str) -> None:
    assert parse_clock(f"synchronized {said}\ntime 5.250000000\n") == Clock(5.25, Synchronized(read))


def test_hosts_are_asked_and_garbage_is_named(tmp_path: Path) -> None:
    session = session_with(lambda output: b"\xff\0", tmp_path)
    seen = look(session, None)
    assert HOSTILE in seen.survey.unreachable
    assert isinstance(seen.clocks[HOSTILE], HostError)
    other = seen.clocks["gpu1"]
    assert isinstance(other, HostClock)
    assert abs(other.offset) < 5
    assert seen.alerts is None
