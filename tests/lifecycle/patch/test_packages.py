"""Steps on a host that is lost meanwhile, too slow, or asked by two controllers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from rackwright.errors import HostError, HostKeyError, LeasedError, RackwrightError
from rackwright.lifecycle.patch import packages
from rackwright.lifecycle.patch.packages import LIMITS, HostPackages, StepFailed, Unfinished
from rackwright.remote import Completed, Connection, UnreadableAnswer
from rackwright.roles.patch.packages import Look, Step

RUN = "20261130T000000Z-0001"
BUSY = "state active\nresult \nuptime 20.00 10.00\n"
DONE = "state inactive\nresult complete\nuptime 20.00 10.00\n"
LOST = HostError("connection lost", where="gpu1")


@dataclass
class Answering:
    """A host that answers these in order; after an error it is asked again."""

    answers: list[str | HostError | Completed]
    asked: list[str] = field(default_factory=list)
    name: str = "gpu1"

    def run(self, command: str, *, stdin: str | None = None) -> Completed:
        self.asked.append(command)
        said = self.answers.pop(0)
        if isinstance(said, HostError):
            raise said
        return said if isinstance(said, Completed) else Completed(0, said.encode(), host=self.name)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "POLL_SECONDS", 0)


def patching(*answers: str | HostError | Completed, lost_seconds: float = 60) -> tuple[HostPackages, Answering]:
    host = Answering(["", *answers])
    return HostPackages(cast(Connection, host), RUN, (), lost_seconds=lost_seconds), host


def test_a_step_is_followed_to_its_end() -> None:
    seen: list[Look] = []
    host = Answering(["", "", BUSY, DONE])
    HostPackages(cast(Connection, host), RUN, (), show=seen.append).install()
    assert not host.answers
    assert [look.seconds for look in seen] == [10]


def test_without_the_lease_no_step_is_started() -> None:
    host = Answering([])

    def check() -> None:
        raise LeasedError("lost")

    with pytest.raises(LeasedError):
        HostPackages(cast(Connection, host), RUN, (), check=check).install()
    assert not host.asked


def test_a_step_is_not_started_again_if_the_lease_has_ended_while_the_host_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(packages, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=slept.append))
    host = Answering(["", LOST])
    with pytest.raises(Unfinished):
        HostPackages(cast(Connection, host), RUN, (), stopping=lambda: bool(slept)).install()
    assert not host.answers


def test_a_lost_connection_is_waited_out() -> None:
    patch, host = patching(LOST, Completed(137), "", LOST, BUSY, LOST, LOST, DONE)
    patch.install()
    assert not host.answers


def test_a_host_that_stays_away_is_unfinished() -> None:
    patch, _ = patching("", LOST, lost_seconds=-1)
    with pytest.raises(
        Unfinished, match="can't be watched: connection lost; rackwright-patch-20261130T000000Z-0001 goes"
    ):
        patch.install()


def test_a_host_that_can_not_be_reached_at_all_is_an_error_at_once() -> None:
    host = Answering([LOST])
    with pytest.raises(HostError, match="connection lost"):
        HostPackages(cast(Connection, host), RUN, ()).stage()


def test_another_host_key_is_not_waited_out() -> None:
    patch, _ = patching("", HostKeyError("another key", where="gpu1"))
    with pytest.raises(HostKeyError):
        patch.install()


def test_a_step_that_takes_too_long_is_not_ended() -> None:
    limit = LIMITS[Step.INSTALL]
    patch, _ = patching("", BUSY.replace("20.00", f"{limit + 11}.00"))
    with pytest.raises(Unfinished, match=f"has run for {limit + 1} s, should end within {limit} s"):
        patch.install()


def test_a_step_that_was_cut_off_did_not_fail() -> None:
    patch, _ = patching("", DONE.replace("complete", ""))
    with pytest.raises(Unfinished, match="was cut off"):
        patch.install()


def test_a_garbled_answer_is_an_error_of_the_host() -> None:
    patch, _ = patching("", "hello")
    with pytest.raises(UnreadableAnswer, match="how far install is"):
        patch.install()


FAILED = DONE.replace("complete", "failed 1")


def failure(step: str, *findings: str, log: str = "") -> RackwrightError:
    patch, _ = patching("", FAILED + "".join(f"found {finding}\n" for finding in findings) + log)
    with pytest.raises(StepFailed) as error:
        getattr(patch, step)()
    return error.value


def test_all_problems_are_named_at_once_each_with_the_next_command() -> None:
    error = failure(
        "stage", "space\t/boot\t90000000\t12", "gone\ta:all\t2\t3", "gone\ta:all\t2\t3", "held\tb:all\t\tdriver"
    )
    assert str(error).splitlines() == [
        "gpu1: /boot has 12 B free; should have 90.0 MB",
        "  next: apt-get clean on gpu1",
        "gpu1: the archive has 3 of a:all; had 2 in the plan",
        "  next: rackwright patch plan",
        "gpu1: b:all is on hold: rackwright holds it for its set driver; changes through the next lock only",
        "  next: rackwright lock --upgrade",
    ]


def test_a_failed_installation_shows_the_end_of_apts_output() -> None:
    error = failure("install", "broken\ta\tinstalled\thalf-configured", log="log the postinst fails\n")
    first, second = error.problems
    assert first.listed == ("the postinst fails",)
    assert "install.log" in (first.next or "")
    assert second.what == "a is half-configured"


def test_a_process_id_becomes_a_command_only_if_it_is_a_number() -> None:
    first, second = failure("hold_off", "locked\tlock\t\t4711 apt", "locked\tlist\t\t$(reboot) apt").problems
    assert (first.next, second.next) == ("ps 4711 on gpu1", None)


def test_a_step_that_found_nothing_shows_its_output() -> None:
    assert failure("keep", "kept\ta:all\t1\tcache", log="log no space left\n").problems[0].listed == (
        "no space left",
    )


def _kept(*lines: str) -> Iterator[str]:
    yield from (f"found kept\t{line}\n" for line in lines)


def test_packages_that_were_made_again_and_those_without_a_file_are_named() -> None:
    lines = _kept("a:all\t1\tcache", "b:all\t1\trepacked", "c:all\t1\tnone", "d:all\t1\tarchive")
    patch, _ = patching("", DONE + "".join(lines))
    kept = patch.keep()
    assert (kept.repacked, kept.none) == (("b:all",), ("c:all",))


def test_a_step_that_another_controller_left_under_way_is_waited_for() -> None:
    host = Answering([BUSY, LOST, BUSY, FAILED])
    HostPackages(cast(Connection, host), RUN, ()).settle()
    assert not host.answers


def test_where_the_run_has_not_begun_no_step_is_waited_for() -> None:
    host = Answering([Completed(1)])
    HostPackages(cast(Connection, host), RUN, ()).settle()
    assert not host.answers


def test_an_error_that_a_step_ended_with_gets_what_became_of_the_host() -> None:
    error = failure("install", "version\ta:all\t2\t1")
    became = error.but(should="it was reverted", next="look")
    assert (became.problems[0].should, became.problems[1:]) == ("it was reverted", error.problems[1:])
    assert isinstance(became, StepFailed)


@pytest.mark.parametrize(("step", "then"), [("install", None), ("revert", "dpkg --configure -a on gpu1")])
def test_what_a_person_has_to_do_is_said_only_after_the_revert(step: str, then: str | None) -> None:
    error = failure(step, "broken\ta\tinstalled\thalf-configured")
    assert error.problems[1].next == then
