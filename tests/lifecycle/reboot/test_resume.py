"""An open rollout of hosts, taken over by another machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rackwright.cli.common.console import Console
from rackwright.errors import HostError, LeasedError, ProofError, RackwrightError
from rackwright.lifecycle.reboot import resume as module
from rackwright.lifecycle.reboot.resume import abort, resume
from rackwright.lifecycle.rollout import opened
from rackwright.lifecycle.rollout.change import Paused
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.session.remember import Compared
from rackwright.run import Outcome, Run, Step
from rackwright.state.journal import Event
from rackwright.state.rollout import HostRollout
from tests.lifecycle.reboot.bench import Bench, is_open, journal
from tests.lifecycle.reboot.machines import NEW, Session, session
from tests.lifecycle.reboot.test_procedure import HOSTS, ONE, SOON, THREE


@pytest.fixture
def made(tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Session:
    @contextmanager
    def leased(site: Session, why: str, *_: object, rollout: bool) -> Iterator[object]:
        assert rollout
        yield bench.lease_session(site)

    monkeypatch.setattr(opened, "leased", leased)
    return session(tmp_path, **SOON)


def resumed(made: Any, bench: Any, rollout: HostRollout) -> tuple[str, ...]:
    return resume(made, rollout, bench.console)


def aborted(made: Any, bench: Any, rollout: HostRollout) -> None:
    abort(made, rollout, bench.console, "not tonight")


ENDS: tuple[Callable[..., object], ...] = (resumed, aborted)


def test_it_is_completed_as_if_it_had_not_been_interrupted(made: Session, bench: Bench) -> None:
    work = bench.opened(made, *HOSTS)
    bench.acted(work, "gpu1")
    rollout = work.rollout
    made.machines["gpu1"].boots, made.machines["gpu1"].loaded = 1, NEW
    assert resumed(made, bench, rollout) == ("gpu2", "gpu3")
    assert [made.machines[name].boots for name in HOSTS] == [1, 1, 1]
    assert not is_open(made)


def test_it_says_once_that_it_has_started_before_a_host_changes(made: Session, bench: Bench) -> None:
    rollout, booted = bench.opened(made, *HOSTS).rollout, list[list[int]]()

    def started() -> None:
        booted.append([made.machines[name].boots for name in HOSTS])

    resume(made, rollout, bench.console, started=started)  # type: ignore[arg-type]
    assert booted == [[0, 0, 0]]
    assert [made.machines[name].boots for name in HOSTS] == [1, 1, 1]


def test_a_host_that_it_left_drained_comes_before_those_that_serve(made: Session, bench: Bench) -> None:
    work = bench.opened(made, *HOSTS)
    bench.acted(work, "gpu3")
    made.traffic.drained.add(THREE)
    assert resumed(made, bench, work.rollout) == ("gpu3", "gpu1", "gpu2")


def test_what_it_installs_is_in_the_audit_logs(made: Session, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[tuple[Run, tuple[str, ...]]] = []
    monkeypatch.setattr(module, "note_changes", lambda session, lease, run, hosts: noted.append((run, tuple(hosts))))
    rollout = bench.opened(made, "gpu2").rollout
    bench.installs["gpu2"] = Run((Step("gpu2", "nvidia_driver", "Install driver", Outcome.CHANGED),))
    resumed(made, bench, rollout)
    assert noted == [(bench.installs["gpu2"], tuple(made.hosts))]


def test_it_is_ended_as_the_hosts_run(made: Session, bench: Bench) -> None:
    rollout = bench.opened(made, *HOSTS).rollout
    made.traffic.drained.add(ONE)
    aborted(made, bench, rollout)
    assert made.traffic.drained == set()
    assert journal(made)[-1].detail == "aborted: not tonight"


@pytest.mark.parametrize("end", ENDS)
def test_a_fleet_file_without_one_of_its_hosts_is_refused(made: Session, bench: Bench, end: Any) -> None:
    rollout = bench.opened(made, *HOSTS).rollout
    del made.hosts["gpu2"]
    with pytest.raises(LeasedError) as caught:
        end(made, bench, rollout)
    (problem,) = caught.value.problems
    assert problem.what == "not in service in this fleet file: gpu2"
    assert problem.should == "apply --reboot, started by ada@desk, is about them"
    assert problem.next == "use the fleet file of the rollout; or rackwright rollout abort --leave"
    assert is_open(made)


@pytest.mark.parametrize("end", ENDS)
def test_one_that_was_closed_in_the_meantime_is_left_alone(made: Session, bench: Bench, end: Any) -> None:
    work = bench.opened(made, *HOSTS)
    work.lease_session.write(Event.CLOSED, work.rollout.id)
    with pytest.raises(LeasedError, match="was closed in the meantime"):
        end(made, bench, work.rollout)
    assert [made.machines[name].boots for name in HOSTS] == [0, 0, 0]


def failing(made: Session, case: str) -> None:
    made.traffic.drained.add(ONE)
    match case:
        case "an engine doesn't answer":
            made.answers[ONE] = "HTTP 503"
        case "a host is unknown":
            made.machines["gpu2"].cut = True
        case "no gateway answers":
            made.gateways_answer = False


@pytest.mark.parametrize(
    ("case", "kind"),
    [("an engine doesn't answer", ProofError), ("a host is unknown", Paused), ("no gateway answers", HostError)],
)
def test_one_that_can_not_be_ended_stays_open_with_the_way_out(
    made: Session, bench: Bench, case: str, kind: type[Exception]
) -> None:
    rollout = bench.opened(made, *HOSTS).rollout
    failing(made, case)
    with pytest.raises(kind, match=rf"the rollout {rollout.id} stays open(.|\n)*rackwright rollout abort --leave"):
        aborted(made, bench, rollout)
    assert is_open(made)


# Nobody watches.


@pytest.fixture
def unattended(made: Session, monkeypatch: pytest.MonkeyPatch) -> Agreements:
    """A resume that the fleet file allows to take down `small`, as the only model."""
    monkeypatch.setattr(Agreements, "outages", ("small",))
    return Agreements(made.fleet)


def test_an_unattended_resume_must_be_allowed_what_is_left_to_change(
    made: Session, bench: Bench, unattended: Agreements, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def refuse(session: object, found: object, console: object, *, hosts: object, agreed: object) -> None:
        asked.append((found, hosts, agreed))
        raise RackwrightError("not allowed")

    monkeypatch.setattr(module, "require_outages", refuse)
    work = bench.opened(made, *HOSTS)
    bench.acted(work, "gpu1")
    made.machines["gpu1"].boots, made.machines["gpu1"].loaded = 1, NEW
    rollout = work.rollout.model_copy(update={"outages": ("assistant",)})
    started: list[bool] = []
    with pytest.raises(RackwrightError, match="not allowed"):
        resume(made, rollout, bench.console, unattended=unattended, started=lambda: started.append(True))  # type: ignore[arg-type]
    assert started == []
    assert asked == [(unattended, ["gpu2", "gpu3"], ("assistant",))]
    assert [made.machines[name].boots for name in HOSTS] == [1, 0, 0]
    assert is_open(made)


def test_an_unattended_resume_may_do_what_was_allowed_at_the_start_and_what_is_allowed_now(
    made: Session, bench: Bench, unattended: Agreements, monkeypatch: pytest.MonkeyPatch
) -> None:
    works: list[Any] = []
    monkeypatch.setattr(module, "require_outages", lambda *_, **__: None)
    monkeypatch.setattr(module, "complete", lambda work: works.append(work) or ())
    rollout = bench.opened(made, *HOSTS).rollout.model_copy(update={"outages": ("assistant",)})
    resume(made, rollout, bench.console, unattended=unattended)  # type: ignore[arg-type]
    resume(made, rollout, bench.console)  # type: ignore[arg-type]
    assert [(one.rollout.outages, one.unattended) for one in works] == [
        (("assistant", "small"), unattended),
        (("assistant",), None),
    ]


def test_a_run_that_ends_with_another_lock_is_not_resumed_with_older_files(
    made: Session, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "require_match", lambda *_: None)
    monkeypatch.setattr(module, "compared_under_lease", lambda _: Compared(same=False, difference="-new", who="ben"))
    monkeypatch.setattr(module, "complete", lambda _: ("gpu1",))
    rollout = bench.opened(made, *HOSTS).rollout
    assert resume(made, rollout, bench.console) == ("gpu1",)  # type: ignore[arg-type]
    leads = rollout.model_copy(update={"after": "the next lock"})
    console = Console(quiet=True, yes=True)
    with pytest.raises(LeasedError, match="differ from what ben applied last"):
        resume(made, leads, console)  # type: ignore[arg-type]
    assert resume(made, leads, console, not_stale=True) == ("gpu1",)  # type: ignore[arg-type]
