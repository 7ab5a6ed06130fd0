"""`patch run` at the command line: its flags, what it prints, and the confirmation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import HostError, LeasedError, ProofError, RackwrightError
from rackwright.lifecycle.notify import deliver
from rackwright.lifecycle.patch import run
from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.patch.document import plan_document
from rackwright.lifecycle.patch.plan import HostPlan, Plan
from rackwright.lifecycle.patch.run import Patched
from rackwright.lifecycle.patch.schedule import schedule
from rackwright.lifecycle.session import session as session_module
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.roles.patch.state import PatchState
from tests.cli.command_line import rackwright
from tests.loopback_tls import bundle
from tests.webhook_receiver import Receiver, webhook_receiver

SUNDAY = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)


class Desk:
    """`patch_run`, without hosts: it shows the plan, asks, and ends."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.limits: list[object] = []
        self.hosts: tuple[str, ...] = ("gpu1",)
        self.error: Exception | None = None
        self.unattended: Agreements | None = None
        self.unpublished: RackwrightError | None = None

    def patch_run(
        self, fleet: Any, asked: Asked, console: Any, show: Any, started: Any, unattended: Agreements | None
    ) -> Patched:
        self.unattended = unattended
        host = HostPlan("gpu1", PatchState("debian 13", "amd64", "6.12"), None, ("libc6",), (), (), ())
        when = schedule(fleet, ("gpu1",), SUNDAY, UTC, {})
        planned = Plan((host,), (), when, plan_document((), only_security=False))
        if self.hosts:
            show(planned)
            console.confirm("Patch gpu1?")
            started(("gpu1",), "r1")
        self.asked.append(asked)
        if unattended:
            unattended.unpublished = self.unpublished
        if self.error:
            raise self.error
        return Patched(self.hosts, planned)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk()
    monkeypatch.setattr(run, "patch_run", made.patch_run)

    def open_session(fleet: Any, **words: Any) -> Any:
        # The gates need the state of all hosts, so the session has them, whatever -l says.
        made.limits.append(words.get("limit"))
        return nullcontext(fleet)

    monkeypatch.setattr(session_module, "open_session", open_session)
    return made


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ((), Asked()),
        (("--only", "security"), Asked(only_security=True)),
        (("--no-reboot",), Asked(reboot=False)),
        (("--canary", "gpu1"), Asked(canary="gpu1")),
        (("-l", "gpu1"), Asked(hosts=("gpu1",))),
        (("--allow-outage",), Asked(allow_outage=True)),
        (("--not-stale",), Asked(not_stale=True)),
    ],
)
def test_each_option_arrives(site: Any, desk: Desk, words: tuple[str, ...], asked: Asked) -> None:
    ran = rackwright("-f", site, "patch", "run", "--yes", *words)
    assert ran.exit_code == 0, ran.stderr
    assert (desk.asked, desk.limits) == ([asked.model_copy(update={"yes": True})], [None])


def test_unattended_asks_nobody_whatever_a_terminal_would_answer(site: Any, desk: Desk) -> None:
    ran = rackwright("-f", site, "patch", "run", "--unattended", answers="n\n")
    assert (ran.exit_code, ran.stdout) == (0, "patched: gpu1\n"), ran.stderr
    assert "Patch gpu1?" not in ran.stderr
    assert desk.unattended
    assert (desk.unattended.fleet.path, desk.asked) == (site, [Asked()])


def test_without_unattended_no_setting_answers(site: Any, desk: Desk) -> None:
    assert rackwright("-f", site, "patch", "run", "--yes").exit_code == 0
    assert desk.unattended is None


@pytest.mark.parametrize("word", ["--yes", "--allow-outage", "--not-stale"])
def test_unattended_allows_no_option_that_agrees(site: Any, desk: Desk, word: str) -> None:
    ran = rackwright("-f", site, "patch", "run", "--unattended", word)
    assert (ran.exit_code, desk.asked) == (2, [])
    assert f"--unattended can't be combined with {word}" in ran.stderr


def test_people_hear_of_an_unattended_run_that_fails_before_its_start(
    site: Any, desk: Desk, receiver: Receiver
) -> None:
    desk.hosts, desk.error = (), LeasedError("anna@desk holds the lease")
    assert rackwright("-f", site, "patch", "run", "--unattended").exit_code == 11
    assert receiver.events == ["failed"]


def test_a_lock_that_could_not_be_pushed_fails_the_command_after_its_answer(
    site: Any, desk: Desk, receiver: Receiver
) -> None:
    desk.unpublished = RackwrightError("the promoted lock isn't on branch x", next="rackwright lock --applied")
    ran = rackwright("-f", site, "patch", "run", "--unattended")
    assert (ran.exit_code, ran.stdout) == (1, "patched: gpu1\n")
    assert "the promoted lock isn't on branch x\n  next: rackwright lock --applied" in ran.stderr
    assert receiver.events == ["started", "failed"]
    assert receiver.posted[-1].document["next"] == "rackwright lock --applied"


def test_a_host_that_the_fleet_file_lacks_is_refused(site: Any, desk: Desk) -> None:
    ran = rackwright("-f", site, "patch", "run", "--yes", "-l", "nowhere")
    assert (ran.exit_code, desk.asked) == (2, [])
    assert "nowhere" in ran.stderr


def test_the_plan_is_shown_before_the_question(site: Any, desk: Desk) -> None:
    ran = rackwright("-f", site, "patch", "run", "--yes")
    assert "gpu1:\n  reboots: libc6" in ran.stderr
    assert ran.stdout == "patched: gpu1\n"


def test_json_is_one_document(site: Any, desk: Desk) -> None:
    ran = rackwright("-f", site, "patch", "run", "--yes", "--json")
    assert ran.document == {"patched": ["gpu1"], "not_notified": []}
    assert "reboots" not in ran.stderr


def test_without_yes_and_without_a_person_nothing_is_done(site: Any, desk: Desk) -> None:
    ran = rackwright("-f", site, "patch", "run", "--json")
    assert (ran.exit_code == 0, desk.asked) == (False, [])


def test_nothing_to_patch_is_said(site: Any, desk: Desk) -> None:
    desk.hosts = ()
    assert rackwright("-f", site, "patch", "run", "--yes").stdout == "nothing to patch\n"


def test_a_host_that_is_not_proven_ends_with_12(site: Any, desk: Desk) -> None:
    desk.error = ProofError("not proven after 600 s: small.service has failed", where="gpu1")
    ran = rackwright("-f", site, "patch", "run", "--yes")
    assert (ran.exit_code, "gpu1: not proven after 600 s" in ran.stderr) == (12, True)


@pytest.fixture
def receiver(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver of the fleet's notices."""
    monkeypatch.setattr(deliver, "WAITS", ())
    with webhook_receiver() as started:
        site.write_text(f"{site.read_text()}notify: {{url: '{started.url}', ca: {bundle()}}}\n")
        yield started


def test_people_hear_that_a_run_starts_and_ends(site: Any, desk: Desk, receiver: Receiver) -> None:
    assert rackwright("-f", site, "patch", "run", answers="y\n").exit_code == 0
    assert [one.document["summary"] for one in receiver.posted] == [
        "patch run started: gpu1",
        "patch run ended: patched: gpu1",
    ]
    assert {one.document["run"] for one in receiver.posted} == {"r1"}


def test_a_question_that_is_answered_with_no_is_no_news(site: Any, desk: Desk, receiver: Receiver) -> None:
    assert rackwright("-f", site, "patch", "run", answers="n\n").exit_code == 1
    assert receiver.posted == []


@pytest.mark.parametrize(
    ("error", "code", "summary", "hosts"),
    [
        (ProofError("not proven after 600 s", where="gpu1"), 12, "gpu1: not proven after 600 s", ["gpu1"]),
        (LeasedError("anna@desk holds the lease"), 11, "anna@desk holds the lease", []),
        (HostError("can't be reached", where="gpu2"), 3, "gpu2: can't be reached", ["gpu2"]),
        (KeyboardInterrupt(), 1, "interrupted", []),
    ],
)
def test_people_hear_of_each_failure(
    site: Any, desk: Desk, receiver: Receiver, error: Exception, code: int, summary: str, hosts: list[str]
) -> None:
    desk.error = error
    assert rackwright("-f", site, "patch", "run", "--yes").exit_code == code
    assert receiver.events == ["started", "failed"]
    failed = receiver.posted[-1].document
    assert (failed["summary"], failed["hosts"]) == (f"patch run failed: {summary}", hosts)


def test_a_run_without_anything_to_do_ends(site: Any, desk: Desk, receiver: Receiver) -> None:
    desk.hosts = ()
    assert rackwright("-f", site, "patch", "run", "--yes").exit_code == 0
    assert [one.document["summary"] for one in receiver.posted] == ["patch run ended: nothing to patch"]


def test_a_host_that_cant_be_asked_at_the_start_is_heard_of(
    site: Any, desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise HostError("can't be reached", where="gate1")

    monkeypatch.setattr(session_module, "open_session", unreachable)
    assert rackwright("-f", site, "patch", "run", "--yes").exit_code == 3
    assert receiver.events == ["failed"]


def test_a_receiver_that_takes_nothing_changes_nothing(site: Any, desk: Desk, receiver: Receiver) -> None:
    receiver.codes[:] = [404] * 2
    ran = rackwright("-f", site, "patch", "run", "--yes", "--json")
    assert (ran.exit_code, ran.document["patched"]) == (0, ["gpu1"])
    failed = {"receiver": f"webhook {receiver.place}", "why": "answers 404", "next": "check notify.url"}
    assert ran.document["not_notified"] == [failed, failed]
