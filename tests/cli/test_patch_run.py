"""`patch run` at the command line: its flags, what it prints, and the confirmation."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest

from rackwright.errors import ProofError
from rackwright.lifecycle.patch import run
from rackwright.lifecycle.patch.asked import Asked
from rackwright.lifecycle.patch.document import plan_document
from rackwright.lifecycle.patch.plan import HostPlan, Plan
from rackwright.lifecycle.patch.run import Patched
from rackwright.lifecycle.patch.schedule import schedule
from rackwright.lifecycle.session import session as session_module
from rackwright.roles.patch.state import PatchState
from tests.cli.command_line import rackwright

SUNDAY = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)


class Desk:
    """`patch_run`, without hosts: it shows the plan, asks, and ends."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.limits: list[object] = []
        self.hosts: tuple[str, ...] = ("gpu1",)
        self.error: Exception | None = None

    def patch_run(self, fleet: Any, asked: Asked, console: Any, show: Any) -> Patched:
        host = HostPlan("gpu1", PatchState("debian 13", "amd64", "6.12"), None, ("libc6",), (), (), ())
        when = schedule(fleet, ("gpu1",), SUNDAY, UTC, {})
        planned = Plan((host,), (), when, plan_document((), only_security=False))
        if self.hosts:
            show(planned)
            console.confirm("Patch gpu1?")
        self.asked.append(asked)
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
    ],
)
def test_each_option_arrives(site: Any, desk: Desk, words: tuple[str, ...], asked: Asked) -> None:
    ran = rackwright("-f", site, "patch", "run", "--yes", *words)
    assert ran.exit_code == 0, ran.stderr
    assert (desk.asked, desk.limits) == ([asked.model_copy(update={"yes": True})], [None])


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
    assert ran.document == {"patched": ["gpu1"]}
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
