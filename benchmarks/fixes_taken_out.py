"""Which bugs random histories of a fleet find: `python -m benchmarks.fixes_taken_out [COUNT] [SEED]`.

The script disables the fixes of issue 30, one at a time, and makes random histories (tests/lifecycle/world) until one
fails, at most COUNT. Then it enables all fixes and makes COUNT histories of each kind, of rollouts and of API keys.
None of these should fail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from click import termui
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from rackwright.lifecycle import key as keys
from rackwright.lifecycle.session import under_lease as leased
from rackwright.state.lease_session import LeaseSession
from tests.lifecycle.world import world
from tests.lifecycle.world.key_gateway import KeyGateway
from tests.lifecycle.world.key_machine import KeyMachine
from tests.lifecycle.world.machine import RolloutMachine

COUNT, STEPS, SEED = 500, 12, 30


@contextmanager
def all_in() -> Iterator[None]:
    yield


@contextmanager
def blocking_questions() -> Iterator[None]:
    """Point 1: questions use Python's own input()."""
    with patch.object(termui, "visible_prompt_func", input):
        yield


@contextmanager
def old_workers_that_send() -> Iterator[None]:
    """Point 3: HAProxy's configuration lacks the rule by which an old worker passes requests on."""
    with patch.object(world, "old_workers_pass_on", lambda: False):
        yield


@contextmanager
def lease_that_is_believed() -> Iterator[None]:
    """Point 4: no change checks first whether it still has the lease."""
    with patch.object(LeaseSession, "check", lambda _: None), patch.object(LeaseSession, "holds", lambda _: True):
        yield


@contextmanager
def control_host_of_the_file() -> Iterator[None]:
    """Point 5: the control host is always the one that the fleet file names first."""
    with patch.object(leased, "record_control_host", lambda *_: None):
        yield


@contextmanager
def keys_of_the_file() -> Iterator[None]:
    """Point 6: an apply writes its own copy of the keys file, without a merge."""

    def apply(gateway: KeyGateway, content: str) -> None:
        rows = [line.split(" ") for line in content.splitlines() if " # " not in line]
        (gateway.folder / "keys.map").write_text("".join(f"{row[2]} {row[3]}\n" for row in rows))

    with ExitStack() as stack:
        stack.enter_context(patch.object(KeyGateway, "apply", apply))
        stack.enter_context(patch.object(keys, "refuse_unknown_keys", lambda *_: None))
        yield


CASES: tuple[tuple[str, type[RuleBasedStateMachine], Callable[[], Any]], ...] = (
    ("without fix 1 (the lease is renewed while a question waits)", RolloutMachine, blocking_questions),
    (
        "without fix 3 (an old worker sends no new request to a drained replica)",
        RolloutMachine,
        old_workers_that_send,
    ),
    ("without fix 4 (nothing is changed without the lease)", RolloutMachine, lease_that_is_believed),
    ("without fix 5 (the control host doesn't move with the fleet file)", RolloutMachine, control_host_of_the_file),
    ("without fix 6 (an older keys file undoes nothing)", KeyMachine, keys_of_the_file),
    ("with all fixes, rollouts", RolloutMachine, all_in),
    ("with all fixes, keys", KeyMachine, all_in),
)


def tried(machine: type[RuleBasedStateMachine], count: int, start: int) -> tuple[int, str | None]:
    """Return how many histories were made, and why the last one failed."""
    made = 0

    class Counted(machine):  # type: ignore[valid-type,misc]
        def teardown(self) -> None:
            nonlocal made
            made += 1
            super().teardown()

    chosen = settings(
        max_examples=count,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(seed(start)(Counted), settings=chosen)
    except AssertionError as error:
        # Hypothesis runs the history that failed once more, to show it.
        return made - 1, str(error).splitlines()[0]
    return made, None


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    start = int(sys.argv[2]) if len(sys.argv) > 2 else SEED
    for what, machine, taken_out in CASES:
        with taken_out():
            made, why = tried(machine, count, start)
        print(f"{what}: {f'failed after {made} histories: {why}' if why else f'{made} histories passed'}", flush=True)


if __name__ == "__main__":
    main()
