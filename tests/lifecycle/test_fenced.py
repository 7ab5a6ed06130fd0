"""The first operator's machine sleeps during a rollout; a second operator ends it; then the first wakes up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rackwright.errors import LeasedError, RackwrightError
from tests.lifecycle.test_kills import CASES, Beginning, Case, assert_settled, ended, later, world_of
from tests.lifecycle.world.session import Desk
from tests.lifecycle.world.world import World

NAMES = ("a good update", "an update that the second refuses", "an abort")


def pause() -> None:
    """Do nothing at this tick."""


def ticks(world: World, case: Case) -> int:
    """Return how many ticks the case takes."""
    count = 0

    def look() -> None:
        nonlocal count
        count += 1
        world.surprises.append(look)

    world.surprises = [look]
    ended(lambda: case.run(Desk(world)))
    return count


@pytest.mark.parametrize("way", [Desk.resume, Desk.abort])
@pytest.mark.parametrize("name", NAMES)
def test_an_overtaken_command_changes_nothing_more(tmp_path: Path, name: str, way: Callable[[Desk], None]) -> None:
    begin = Beginning(world_of(tmp_path, CASES[name], 2))
    count = ticks(begin.world(), CASES[name])
    assert count > 20
    for tick in range(count):
        assert overtaken(begin.world(), CASES[name], way, tick), f"tick {tick} of {count}"


@pytest.mark.parametrize("tick", range(1, 9))
def test_a_command_that_sleeps_while_requests_do_not_end_undrains_nothing(tmp_path: Path, tick: int) -> None:
    world = world_of(tmp_path, CASES["a good update"], 2)
    world.requests["gpu1/assistant@1"] = world.now + 1000
    assert overtaken(world, CASES["a good update"], Desk.abort, tick)


def overtaken(world: World, case: Case, way: Callable[[Desk], None], tick: int) -> bool:
    """The second operator starts at this tick; return whether the first run found that it had lost its lease."""
    after: list[int] = []

    def sleep() -> None:
        world.process.asleep = True
        later(world)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world, "requests", {})
            # Once the promotion of the lock has started, it can't be aborted.
            if not ended(lambda: way(Desk(world, "ben"))):
                ended(lambda: Desk(world, "ben").resume())
        after.append(len(world.changes))

    world.surprises = [*[pause] * tick, sleep]
    lost = False
    try:
        case.run(Desk(world))
    except LeasedError:
        lost = True
    except RackwrightError as error:
        raise AssertionError(f"told of something else: {error}") from error
    if not after:
        return False
    assert [change for change in world.changes[after[0] :] if change.startswith("anna")] == []
    assert_settled(world)
    return lost
