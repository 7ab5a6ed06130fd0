"""Who carries out what, over a stand-in for the control hosts, with a real receiver of notices."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from rackwright.errors import HostError, LeasedError, Problem, RackwrightError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.times.occasions import schedules_of
from rackwright.lifecycle.notify import deliver
from rackwright.lifecycle.schedule import claiming, procedure, settle, turn
from rackwright.lifecycle.schedule.claiming import Ended
from rackwright.lifecycle.schedule.clock import refuse_apart
from rackwright.lifecycle.schedule.due import Here
from rackwright.lifecycle.schedule.procedure import run_due, run_now
from rackwright.lifecycle.schedule.turn import Job, Result, Turn, beating
from rackwright.lifecycle.session.own_copy import FleetChanged
from rackwright.state.lease import leased
from rackwright.state.operator import Operator
from rackwright.state.schedule import Pause, Try, claim, put_pause, see, tries_of, update
from tests.lifecycle.schedule.world import (
    DAY,
    DRILL,
    END,
    HOUR,
    MINUTE,
    SUNDAY,
    TEXT,
    WHO,
    Clock,
    Memory,
    Said,
    attempt,
    fleet,
    here,
    lease,
    store_of,
)
from tests.loopback_tls import bundle
from tests.waiting import wait_until
from tests.webhook_receiver import Receiver, webhook_receiver


@dataclass
class World:
    fleet: Fleet
    receiver: Receiver
    clock: Clock
    store: Memory = field(default_factory=Memory)
    said: Said = field(default_factory=Said)
    ran: list[str] = field(default_factory=list)
    offsets: dict[str, float] = field(default_factory=dict)
    """Each control host's clock, in seconds ahead of this machine's."""
    job: Job | None = None

    def see(self, since: datetime = SUNDAY - DAY) -> None:
        """Let the control hosts know the schedules since then."""
        for one in schedules_of(self.fleet):
            see(cast(Any, self.store), one.name, one.said, since)

    def jobs(self) -> Any:
        return {"patch": self._job("patch"), "drill": self._job("drill")}

    def _job(self, name: str) -> Job:
        def carry_out(turn: Turn) -> Result:
            self.ran.append(name)
            return self.job(turn) if self.job else Result(f"{name}: done", ("gpu1",))

        return carry_out

    def due(self, me: Here | None = None) -> tuple[Ended, ...]:
        return run_due(self.fleet, self.jobs(), me or here(), cast(Any, self.said))

    def now(self, name: str = "patch", me: Here | None = None) -> Ended:
        return run_now(self.fleet, name, self.jobs(), me or here(), cast(Any, self.said))

    def tries(self, name: str = "patch") -> tuple[Try, ...]:
        return tries_of(cast(Any, self.store), name)

    def put(self, one: Try) -> None:
        update(cast(Any, self.store), one)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(deliver, "WAITS", ())
    with webhook_receiver() as receiver:
        shutil.copy(bundle(), tmp_path / "ca.pem")
        text = TEXT + f"notify: {{url: '{receiver.url}', ca: ca.pem}}\n"
        made = World(fleet(tmp_path, text), receiver, Clock())
        for module in (claiming, procedure, settle, turn):
            monkeypatch.setattr(module, "utc_now", made.clock)
        monkeypatch.setattr(procedure, "control_store", lambda _: store_of(made.store))
        monkeypatch.setattr(procedure, "refuse_wrong_clock", lambda _: refuse_apart(made.offsets))
        monkeypatch.setattr(claiming, "operator_of", lambda *_: Operator(WHO, "ctl1"))
        made.see()
        yield made


def test_what_is_due_is_carried_out_once_and_its_end_is_kept(world: World) -> None:
    assert world.due() == (Ended("patch", SUNDAY, "done", "patch: done"),)
    assert world.due(here("ctl2")) == ()
    (one,) = world.tries()
    assert (one.state, one.summary, one.who, one.ended) == ("done", "patch: done", WHO, SUNDAY)
    assert (one.start, one.end, one.number, one.process) == (SUNDAY, END, 1, here().process)
    assert world.ran == ["patch"]
    assert world.receiver.events == ["ended"]


def test_of_two_machines_one_works(world: World) -> None:
    def slow(turn: Turn) -> Result:
        # The other one looks while this one works.
        assert world.due(here("ctl2")) == ()
        return Result("done")

    world.job = slow
    assert [one.state for one in world.due()] == ["done"]
    assert world.ran == ["patch"]


def test_the_one_that_loses_the_race_does_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = claim

    def second(store: Any, wanted: Try) -> bool:
        assert real(store, attempt("ctl2"))
        return real(store, wanted)

    monkeypatch.setattr(claiming, "claim", second)
    assert world.due() == ()
    with pytest.raises(LeasedError, match="schedule patch: it runs on ctl2 since 2026-12-06T02:00:00Z"):
        world.now()
    assert world.ran == []
    assert world.receiver.events == []


def test_a_failure_is_kept_and_reported_and_the_other_schedule_still_has_its_turn(world: World) -> None:
    world.clock.now = DRILL

    def fails(turn: Turn) -> Result:
        if world.ran == ["patch"]:
            raise RackwrightError("not proven", where="gpu1", next="rackwright rollout resume")
        return Result("passed")

    world.job = fails
    with pytest.raises(RackwrightError, match="gpu1: not proven"):
        world.due()
    assert world.ran == ["patch", "drill"]
    assert [(one.state, one.summary) for one in (*world.tries(), *world.tries("drill"))] == [
        ("failed", "gpu1: not proven"),
        ("done", "passed"),
    ]
    assert world.receiver.events == ["failed", "ended"]


def test_a_job_that_raises_nothing_can_fail(world: World) -> None:
    resumed: list[bool] = []

    def fails(turn: Turn) -> Result:
        resumed.append(turn.resumed)
        return Result("drill not passed", problems=(Problem("", "not passed", listed=("rto",)),))

    world.job = fails
    assert world.due() == (Ended("patch", SUNDAY, "failed", "not passed; rto"),)
    assert world.tries()[0].state == "failed"
    assert world.receiver.events == ["failed"]
    assert resumed == [False]


@pytest.mark.parametrize(
    ("error", "summary"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (ValueError("s3cret"), "unexpected ValueError; this is a bug in rackwright"),
    ],
)
def test_an_end_of_another_kind_is_kept_too(world: World, error: BaseException, summary: str) -> None:
    def breaks(_: Turn) -> Result:
        raise error

    world.job = breaks
    with pytest.raises(type(error)):
        world.due()
    assert (world.tries()[0].state, world.tries()[0].summary) == ("failed", summary)


def test_missed_windows_are_reported_once_in_one_notice(world: World) -> None:
    world.clock.now = SUNDAY + 15 * DAY
    # The drill of the first Sunday, too.
    assert [(one.schedule, one.state) for one in world.due()] == [*[("patch", "missed")] * 3, ("drill", "missed")]
    assert world.due(here("ctl2")) == ()
    assert world.ran == []
    patch, drill = (one.document for one in world.receiver.posted)
    assert (patch["event"], patch["command"], patch["next"]) == ("missed", "patch run", "rackwright schedule list")
    when = "nothing started it at 3 times, from Sun 2026-12-06 02:00 UTC to Sun 2026-12-20 02:00 UTC"
    assert (patch["summary"], patch["reason"]) == (f"patch run missed: {when}", when)
    assert drill["summary"] == "drill run missed: nothing started it at Sun 2026-12-06 04:00 UTC"


def test_what_is_paused_is_skipped_without_a_notice(world: World) -> None:
    put_pause(cast(Any, world.store), Pause(schedule="patch", since=SUNDAY - DAY, until=END, who="anna"))
    assert [one.state for one in world.due()] == ["skipped"]
    world.clock.now = END + DAY
    assert [(one.schedule, one.state) for one in world.due()] == [("drill", "missed")]
    assert world.tries()[0].summary == "the schedule was paused"
    assert world.ran == []


def test_a_lost_run_is_resumed_and_knows_what_it_had_opened(world: World) -> None:
    world.clock.now = SUNDAY + HOUR
    world.put(attempt("ctl2", alive=SUNDAY, run="r7", hosts=("gpu1", "gpu2")))
    seen: list[tuple[bool, Mapping[str, frozenset[str]]]] = []

    def resumes(turn: Turn) -> Result:
        seen.append((turn.resumed, turn.ours))
        turn.started(("gpu1",), "r8", "resumed")
        return Result("patched: gpu1")

    world.job = resumes
    assert [one.state for one in world.due()] == ["done"]
    assert seen == [(True, {"r7": frozenset({"gpu1", "gpu2"})})]
    first, second = world.tries()
    assert (first.state, second.state, second.number, second.run) == ("running", "done", 2, "r8")
    assert second.hosts == ("gpu1",)
    assert world.receiver.events == ["started", "ended"]
    assert world.receiver.posted[0].document["run"] == "r8"


def test_a_run_that_is_lost_for_good_is_reported_as_failed_once(world: World) -> None:
    world.clock.now = END + HOUR
    world.put(attempt("ctl2", alive=SUNDAY))
    states = [(one.schedule, one.state) for one in world.due()]
    assert states == [("patch", "failed"), ("drill", "missed")]
    assert world.due(here("ctl2")) == ()
    failed = world.receiver.posted[0].document
    assert (failed["event"], failed["next"]) == ("failed", "rackwright rollout status")
    assert failed["summary"].endswith("ctl2 since 2026-12-06T02:00:00Z was lost, and it was too late to resume")
    assert world.ran == []


def test_a_lost_drill_leaves_scratch_hosts(world: World) -> None:
    world.clock.now = DRILL + 2 * HOUR
    world.put(attempt(state="done"))
    world.put(attempt("ctl2", schedule="drill", start=DRILL, end=DRILL + HOUR, alive=DRILL))
    assert [(one.schedule, one.state) for one in world.due()] == [("drill", "failed")]
    (failed,) = (one.document for one in world.receiver.posted)
    assert failed["reason"].endswith("its scratch hosts may still have the fleet's data")
    assert failed["next"] == "rackwright drill clean"


def test_what_no_receiver_heard_is_reported_again(world: World) -> None:
    world.clock.now = END + HOUR
    world.put(attempt("ctl2", alive=SUNDAY))
    world.receiver.codes = [500, 500]
    assert [one.state for one in world.due()] == ["failed", "missed"]
    assert [one.reported for one in (world.tries()[-1], *world.tries("drill"))] == [False, False]
    world.receiver.posted.clear()
    # The machine that recorded it may still be about to report it.
    assert world.due(here("ctl2")) == ()
    assert world.receiver.events == []
    world.clock.now += 5 * MINUTE
    assert world.due(here("ctl2")) == ()
    assert world.receiver.events == ["failed", "missed"]
    world.clock.now += 5 * MINUTE
    assert world.due() == ()
    assert world.receiver.events == ["failed", "missed"]


def test_without_receivers_there_is_nothing_to_report(world: World, tmp_path: Path) -> None:
    world.fleet = fleet(tmp_path / "silent")
    world.clock.now = END
    world.due()
    assert [one.reported for one in world.tries()] == [True]


def test_what_was_recorded_is_reported_even_if_the_rest_fails(world: World) -> None:
    world.clock.now = SUNDAY + 8 * DAY

    def gone(number: int, written: bool) -> None:
        if number == 2:
            raise HostError("unreachable", where="ctl1")

    world.store.writes, world.store.fault = 0, gone
    with pytest.raises(HostError):
        world.due()
    assert world.receiver.posted[0].document["summary"].endswith("nothing started it at Sun 2026-12-06 02:00 UTC")


def test_a_lease_that_can_not_be_broken_hides_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.clock.now = END + HOUR
    world.put(attempt(alive=SUNDAY + 50 * MINUTE))
    world.store.lease = lease(world.clock.now, since=SUNDAY + MINUTE, seconds=7200)

    def changed(*_: object) -> None:
        raise LeasedError("the lease has changed hands")

    monkeypatch.setattr(claiming, "break_lease", changed)
    assert [one.state for one in world.due(here(boot="b2"))] == ["failed", "missed"]
    assert world.receiver.events == ["failed", "missed"]
    assert world.said.lines == ["the lease of before the reboot isn't broken: the lease has changed hands"]


def test_after_its_reboot_it_breaks_the_lease_of_before(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.clock.now = SUNDAY + HOUR
    world.put(attempt(alive=SUNDAY + 50 * MINUTE))
    before = world.store.lease = lease(world.clock.now, since=SUNDAY + MINUTE, seconds=1800)
    reasons: list[str] = []

    def broken(_: Fleet, store: Any, __: Any, found: Any, reason: str) -> None:
        store.break_(found)
        reasons.append(reason)

    monkeypatch.setattr(claiming, "break_lease", broken)
    assert [one.state for one in world.due(here(boot="b2"))] == ["done"]
    assert world.store.broken == [before]
    assert reasons == ["ctl1 has rebooted, so nothing works under it"]


def test_the_lease_of_somebody_else_is_awaited_for_a_quarter_of_an_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "POLL_SECONDS", 0.0)
    waits = 0

    def taken(_: Turn) -> Result:
        nonlocal waits
        waits += 1
        world.clock.now += 5 * MINUTE
        raise leased(lease(world.clock.now, who="anna@desk"))

    world.job = taken
    with pytest.raises(LeasedError, match="leased by anna@desk"):
        world.due()
    assert (waits, world.tries()[0].state) == (3, "failed")
    assert "anna@desk" in world.said.lines[0]
    assert len(world.said.lines) == 1
    assert world.receiver.events == ["failed"]


def test_it_goes_on_when_the_lease_is_free(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "POLL_SECONDS", 0.0)

    def once(_: Turn) -> Result:
        if len(world.ran) == 1:
            raise leased(lease(world.clock.now, who="anna@desk"))
        return Result("done")

    world.job = once
    assert [one.state for one in world.due()] == ["done"]
    assert world.receiver.events == ["ended"]


def test_another_reason_of_the_same_kind_is_final(world: World) -> None:
    def open_rollout(_: Turn) -> Result:
        raise LeasedError("the rollout r1 of anna is open")

    world.job = open_rollout
    with pytest.raises(LeasedError):
        world.due()
    assert world.ran == ["patch"]


def test_an_apply_in_the_meantime_does_not_cost_the_window(world: World) -> None:
    """The run that waited for it has the older files; the next process has the new ones, and resumes the try."""

    def too_old(_: Turn) -> Result:
        raise FleetChanged

    world.job = too_old
    why = "an operator applied in the meantime, so this copy of the applied fleet is too old"
    assert world.due() == (Ended("patch", SUNDAY, "running", why),)
    assert world.receiver.events == []
    world.job, world.clock.now = None, SUNDAY + 5 * MINUTE
    assert [one.state for one in world.due(here(gone=True))] == ["done"]
    assert [(one.number, one.state) for one in world.tries()] == [(1, "running"), (2, "done")]
    assert world.receiver.events == ["ended"]


def test_it_says_that_it_works(world: World) -> None:
    one = attempt()
    world.put(one)
    kept = turn.Kept(cast(Any, world.store), one)
    world.clock.now = SUNDAY + HOUR
    world.store.silent = 2
    with beating(kept, every=0.01):
        wait_until(lambda: "2026-12-06T03:00:00Z" in world.store.documents[f"schedules/patch/{one.name}"])
    assert not [one for one in threading.enumerate() if one.name == "schedule"]


def test_its_end_is_written_once_the_control_host_is_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "END_WAIT", 0.0)

    def silent(_: Turn) -> Result:
        world.store.silent = 2
        return Result("done")

    world.job = silent
    assert [one.state for one in world.due()] == ["done"]
    assert world.tries()[0].state == "done"


def test_a_control_host_that_stays_away_changes_nothing_about_the_result(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "END_WAIT", 0.0)

    def silent(_: Turn) -> Result:
        world.store.silent = 1000
        return Result("patched: gpu1")

    world.job = silent
    with pytest.raises(HostError):
        world.due()  # The next schedule can't be read.
    assert "no control host could store how this ended; the next run finds that out" in world.said.lines
    assert world.receiver.events == ["ended"]


def test_by_name_it_runs_in_its_time_as_what_is_due(world: World) -> None:
    assert world.now() == Ended("patch", SUNDAY, "done", "patch: done")
    assert world.due(here("ctl2")) == ()
    # And once more, if a person wants that.
    world.clock.now = SUNDAY + MINUTE
    assert world.now() == Ended("patch", SUNDAY + MINUTE, "done", "patch: done")
    assert [(one.asked, one.end) for one in world.tries()] == [(False, END), (True, END)]


def test_by_name_a_patch_needs_an_open_window_and_a_drill_does_not(world: World) -> None:
    world.clock.now = END + DAY
    with pytest.raises(UsageError, match=r"patch.window: no window is open: sun 02:00-05:00 \(UTC\)"):
        world.now()
    assert world.now("drill") == Ended("drill", END + DAY, "done", "drill: done")
    assert world.tries("drill")[-1].asked


def test_by_name_two_persons_do_not_run_it_at_once(world: World) -> None:
    def second(_: Turn) -> Result:
        with pytest.raises(LeasedError, match="it runs on ctl1"):
            world.now("drill", here("desk"))
        return Result("done")

    world.job = second
    world.clock.now = END + DAY
    assert world.now("drill").state == "done"
    assert world.ran == ["drill"]


def test_by_name_whoever_is_second_does_not_run_it_once_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one may have ended already."""
    real = claim

    def second(store: Any, wanted: Try) -> bool:
        if not wanted.asked:
            real(store, attempt("ctl2", state="done"))
        return real(store, wanted)

    monkeypatch.setattr(claiming, "claim", second)
    with pytest.raises(LeasedError, match="schedule patch: another machine was first"):
        world.now()
    assert world.ran == []


def test_times_that_are_not_applied_change_nothing(world: World, tmp_path: Path) -> None:
    """They may be those of an older checkout, or of an edit: the tool goes on with the applied ones."""
    world.fleet = fleet(tmp_path / "edited", TEXT.replace("sun 02:00", "sun 01:00"))
    before = dict(world.store.documents)
    for run in (world.due, world.now):
        with pytest.raises(LeasedError) as raised:
            run()
        assert str(raised.value).splitlines() == [
            "schedule patch: these times aren't the applied ones: sun 01:00-05:00 (UTC); "
            "the control hosts have sun 02:00-05:00 (UTC)",
            "  next: rackwright apply, or the fleet file that was applied last",
        ]
    assert (world.ran, world.store.documents) == ([], before)
    world.store.documents.clear()
    with pytest.raises(LeasedError, match="the control hosts have none"):
        world.now()


def test_the_tool_works_on_the_applied_times(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    world.store.documents.clear()
    world.clock.now = SUNDAY - HOUR
    assert world.due() == ()
    world.clock.now = SUNDAY
    assert [one.state for one in world.due()] == ["done"]


def test_by_name_what_was_missed_is_reported_first(world: World) -> None:
    world.clock.now = SUNDAY + 7 * DAY
    assert world.now().start == SUNDAY + 7 * DAY
    assert world.said.lines == ["patch at 2026-12-06T02:00:00Z: missed: nobody started it in time"]
    assert world.receiver.events == ["missed", "ended"]


def test_without_a_schedule_nothing_is_due(world: World, tmp_path: Path) -> None:
    line = "unattended: {on: [ctl1], person: nightly, key: 'file:nightly'}\n"
    plain = fleet(tmp_path / "plain", TEXT.replace(line, ""))
    assert run_due(plain, world.jobs(), here(), cast(Any, world.said)) == ()
    with pytest.raises(UsageError, match=r"has no schedule for patch; needs unattended\.on and patch\.window"):
        run_now(plain, "patch", world.jobs(), here(), cast(Any, world.said))


def test_with_a_wrong_clock_nothing_starts_and_nothing_is_recorded(world: World) -> None:
    world.clock.now = SUNDAY + 365 * DAY
    world.offsets = {"ctl1": -365 * 86400.0}
    before = dict(world.store.documents)
    for run in (world.due, world.now):
        with pytest.raises(RackwrightError, match="this machine's clock differs"):
            run()
    assert (world.ran, world.store.documents, world.receiver.events) == ([], before, [])


class Killed(BaseException):
    """The machine lost power."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_wherever_a_machine_is_killed_another_one_brings_the_window_to_an_end(
    world: World, number: int, *, after: bool
) -> None:
    """It writes three times: the claim, the run's id, the end."""

    def opens(turn: Turn) -> Result:
        turn.started(("gpu1",), f"r{len(world.ran)}")
        return Result("patched: gpu1")

    def fault(write: int, written: bool) -> None:
        if (write, written) == (number, after):
            raise Killed

    world.job, world.store.writes, world.store.fault = opens, 0, fault
    with pytest.raises(Killed):
        world.due()
    world.store.fault = lambda *_: None
    for minutes in range(5, 60, 5):
        world.clock.now = SUNDAY + minutes * MINUTE
        world.due(here("ctl2"))
    *lost, last = world.tries()
    assert last.state == "done"
    assert [one.state for one in lost] == ["running"] * (0 if (number, after) in ((1, False), (3, True)) else 1)
    assert len(world.ran) == (1 if number == 1 or (number, after) == (3, True) else 2)
