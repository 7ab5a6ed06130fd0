"""A scheduled patch run is a new one, or the rest of one that a schedule opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import LeasedError, RackwrightError
from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.schedule import patch_job
from rackwright.lifecycle.schedule.patch_job import PatchJob
from rackwright.lifecycle.schedule.turn import Result, Turn
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.state.formats import utc_now
from rackwright.state.lease import LeaseTaken, leased
from rackwright.state.rollout import AnyRollout, HostPart, HostRollout
from tests.lifecycle.schedule.world import fleet, lease

RUN = "20261206T020000Z-aaaa"


@dataclass
class Desk:
    """In place of hosts: what is open, and what is done."""

    open: AnyRollout | None = None
    calls: list[str] = field(default_factory=list)
    agreements: list[object] = field(default_factory=list)
    started: list[tuple[object, ...]] = field(default_factory=list)
    locks: list[object] = field(default_factory=list)
    unpublished: RackwrightError | None = None
    taken: int = 0
    """How often the lease is another operator's."""

    def turn(self, *ours: str) -> Turn:
        words: dict[str, Any] = {
            "ours": dict.fromkeys(ours, frozenset()),
            "console": None,
            "started": lambda *words: self.started.append(words),
        }
        return cast(Turn, SimpleNamespace(**words))

    def patch_run(self, _: object, asked: Asked, *words: Any) -> Any:
        if self.open:
            raise LeasedError("a rollout is open")
        self.calls.append("run")
        self.agreements.append(words[-1])
        words[-1].unpublished = self.unpublished
        assert asked == Asked()
        return SimpleNamespace(hosts=("gpu1",))

    def resume(self, _: object, rollout: HostRollout, *words: Any, started: Callable[[], None]) -> tuple[str, ...]:
        self.calls.append(f"resume {rollout.id}")
        self.agreements.append(words[-1])
        if self.taken:
            self.taken -= 1
            raise leased(lease(utc_now()))
        started()
        return ()


def rollout(procedure: Any = "patch", **said: Any) -> HostRollout:
    part = HostPart(name="gpu1", why="1 package", boot="b1")
    return HostRollout(
        procedure=procedure, id=RUN, what="patch run", who="nightly", when=utc_now(), hosts=(part,), **said
    )


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk()

    @contextmanager
    def open_session(_: object, **words: Any) -> Iterator[object]:
        made.locks.append(words["lock"])
        yield SimpleNamespace()

    monkeypatch.setattr(patch_job, "opened", lambda _: SimpleNamespace(rollout=made.open) if made.open else None)
    monkeypatch.setattr(patch_job, "open_session", open_session)
    monkeypatch.setattr(patch_job, "patch_run", made.patch_run)
    monkeypatch.setattr(patch_job, "resume", made.resume)
    return made


def job(folder: Path) -> PatchJob:
    return PatchJob(fleet(folder), lambda _: None)


def test_without_an_open_rollout_a_new_run_starts(desk: Desk, tmp_path: Path) -> None:
    assert job(tmp_path)(desk.turn(RUN)) == Result("patched: gpu1", ("gpu1",))
    assert (desk.calls, desk.locks) == (["run"], [None])
    assert isinstance(desk.agreements[0], Agreements)


def test_what_a_schedule_left_open_is_resumed_and_reported(desk: Desk, tmp_path: Path) -> None:
    desk.open = rollout()
    assert job(tmp_path)(desk.turn("another", RUN)) == Result("nothing to patch")
    assert desk.calls == [f"resume {RUN}"]
    assert desk.started == [(["gpu1"], RUN, "resumed, started by nightly")]
    assert isinstance(desk.agreements[0], Agreements)


def test_a_lock_that_is_not_pushed_is_a_failure_of_a_run_that_patched(desk: Desk, tmp_path: Path) -> None:
    desk.unpublished = RackwrightError("can't be pushed", where="branch rackwright-lock")
    found = job(tmp_path)(desk.turn())
    assert (found.hosts, [one.what for one in found.problems]) == (("gpu1",), ["can't be pushed"])


def test_it_has_started_only_when_the_lease_is_there(desk: Desk, tmp_path: Path) -> None:
    """A turn tries again for a quarter of an hour."""
    desk.open, desk.taken = rollout(), 1
    with pytest.raises(LeaseTaken):
        job(tmp_path)(desk.turn(RUN))
    assert desk.started == []
    job(tmp_path)(desk.turn(RUN))
    assert len(desk.started) == 1


@pytest.mark.parametrize("ours", [(), ("another",)])
def test_what_a_person_left_open_is_left_alone(desk: Desk, tmp_path: Path, ours: tuple[str, ...]) -> None:
    desk.open = rollout()
    with pytest.raises(LeasedError, match="a rollout is open"):
        job(tmp_path)(desk.turn(*ours))
    assert desk.calls == []


def test_only_a_patch_run_is_resumed(desk: Desk, tmp_path: Path) -> None:
    desk.open = rollout("reboot")
    with pytest.raises(LeasedError):
        job(tmp_path)(desk.turn(RUN))
