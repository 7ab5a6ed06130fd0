"""What is recorded about a canary, on a control host that is a folder on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, LeasedError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.canary import keeper as keep
from rackwright.lifecycle.canary.keeper import Keeper
from rackwright.state.canaries import CanaryVerdict, Progress, read_trial
from rackwright.state.lease_session import LeaseSession, hold, owner
from rackwright.state.store import FileStore
from rackwright.verdict import Verdict, Word
from tests.shells import LocalShell
from tests.verdict.verdicts import VERDICT

ROLLOUT = "20261127T031500Z-a1b2"
PASSED = Verdict(Word.PASS, "all is well", (), 0.95, 0.99)


@pytest.fixture
def lease_session(tmp_path: Path) -> Iterator[LeaseSession]:
    with hold(FileStore(LocalShell(), folder=str(tmp_path)), owner("ada", "laptop", "update")) as lease_session:
        yield lease_session


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[CanaryVerdict]:
    told: list[CanaryVerdict] = []
    monkeypatch.setattr(keep, "write_verdict", lambda shell, one: told.append(one))
    return told


def keeper(lease_session: LeaseSession, model: str = "assistant", said: list[str] | None = None) -> Keeper:
    session: Any = SimpleNamespace(
        remote=SimpleNamespace(connection=lambda name: name), fleet=SimpleNamespace(control=("gate1",))
    )
    console: Any = SimpleNamespace(say=(said if said is not None else []).append)
    locks = [
        SimpleNamespace(models={name: SimpleNamespace(digest=digit * 64) for name in ("assistant", "coder")})
        for digit in "ab"
    ]
    rollout: Any = SimpleNamespace(id=ROLLOUT, what="model update", before=locks[0], after=locks[1])
    return Keeper(session, lease_session, console, rollout, Replica(model, 1, "gpu1", 0), None)


def test_the_step_and_whether_it_passed_are_kept_for_a_resume(lease_session, written):
    keeper(lease_session).reached(1)
    keeper(lease_session, "coder").reached(0)
    progress = read_trial(lease_session.store, ROLLOUT).models
    assert progress["assistant"] == Progress(replica="gpu1/assistant@1", step=1)
    keeper(lease_session).passed(25, PASSED)
    progress = read_trial(lease_session.store, ROLLOUT).models
    assert (progress["assistant"].passed, progress["coder"].passed) == (True, False)
    assert [(one.outcome, one.before[0], one.after[0], one.share) for one in written] == [("PASS", "a", "b", 25)]


def test_what_is_found_on_the_way_is_said_and_kept_as_open(lease_session, written):
    said: list[str] = []
    keeper(lease_session, said=said).judged(5, PASSED)
    assert said == ["gpu1/assistant@1: at 5 %: PASS: all is well"]
    assert [one.outcome for one in written] == ["open"]


def test_a_report_that_can_not_be_kept_changes_no_outcome(lease_session, monkeypatch):
    def away(*_: object) -> None:
        raise HostError("unreachable", where="gate1")

    monkeypatch.setattr(keep, "write_verdict", away)
    said: list[str] = []
    keeper(lease_session, said=said).ended("FAIL", 5, "errors rise", PASSED)
    assert said[0] == "gpu1/assistant@1: its report could not be stored: gate1: unreachable"


def test_whoever_waits_for_it_sees_its_report(lease_session, written):
    said: list[str] = []
    keeper(lease_session, said=said).ended("FAIL", 5, "it fell out", VERDICT)
    shown = "\n".join(said)
    assert said[0] == "gpu1/assistant@1: the report on the canary, at 5 % of the conversations"
    assert "FAIL: it fell out" in shown
    assert "median time to first token   296 ms     570 ms   1.93 times" in shown
    keeper(lease_session, said=said).ended("left", 5, "interrupted", VERDICT)
    assert "\n".join(said) == shown


def test_who_lost_the_lease_writes_nothing(lease_session, written):
    lease_session.store.break_(lease_session.lease)
    lease_session.renew()
    with pytest.raises(LeasedError):
        keeper(lease_session).ended("FAIL", 5, "errors rise", PASSED)
    assert written == []
