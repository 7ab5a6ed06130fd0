"""restore --all: which differences from the applied files are expected, and hosts without a snapshot."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from rackwright.errors import RackwrightError, UsageError
from rackwright.lifecycle.apply.stages import Applied, Options
from rackwright.lifecycle.backup.at import At
from rackwright.lifecycle.restore import everything, procedure
from rackwright.lifecycle.restore.asked import Asked
from rackwright.lifecycle.restore.everything import Everything, View, restore_everything
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.verify.procedure import Proof
from rackwright.run import Outcome, Run, Step
from tests.lifecycle.backup.answering import Answering
from tests.lifecycle.restore.host import Bench

LOCAL = {"acme.yml": b"a", "acme.lock": b"l", "acme.keys.yml": b"merged", "acme.known_hosts": b"new"}


@pytest.mark.parametrize(
    ("applied", "expected"),
    [
        (LOCAL, True),
        (LOCAL | {"acme.keys.yml": b"before", "acme.known_hosts": b"old"}, True),
        ({name: text for name, text in LOCAL.items() if name != "acme.keys.yml"}, True),
        (LOCAL | {"acme.yml": b"newer"}, False),
        (LOCAL | {"acme.lock": b"newer"}, False),
        (LOCAL | {"other.ca.crt": b"x"}, False),
    ],
)
def test_only_merged_keys_and_new_pins_differ_as_expected(
    monkeypatch: pytest.MonkeyPatch, applied: dict[str, bytes], *, expected: bool
) -> None:
    monkeypatch.setattr(everything, "last_applied", lambda *_: SimpleNamespace(files=applied))
    monkeypatch.setattr(everything, "checkout", lambda _: SimpleNamespace(files=LOCAL))
    fleet = SimpleNamespace(control=("gate1",), sibling=lambda suffix: SimpleNamespace(name=f"acme.{suffix}"))
    session = cast(Session, SimpleNamespace(fleet=fleet, remote=SimpleNamespace(connection=lambda _: None)))
    assert everything._differ_as_expected(session) is expected


class Steps:
    """In place of restore, apply and verify, which have their own tests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, applied: Applied) -> None:
        self.done: list[object] = []
        self.applied = applied
        proof = Proof("gate1", "a completion", True, "green")
        monkeypatch.setattr("rackwright.lifecycle.restore.procedure.restore", lambda *_: self._step("restore", ()))
        monkeypatch.setattr("rackwright.lifecycle.apply.procedure.apply", self._apply)
        monkeypatch.setattr("rackwright.lifecycle.verify.procedure.verify", lambda *_: self._step("verify", (proof,)))
        monkeypatch.setattr("rackwright.lifecycle.client.origin.choose_asker", lambda _: None)
        monkeypatch.setattr(everything, "_differ_as_expected", lambda _: False)

    def _step(self, name: object, answer: tuple[object, ...]) -> tuple[object, ...]:
        self.done.append(name)
        return answer

    def _apply(self, session: object, options: Options, *_: object) -> Applied:
        self.done.append(options)
        return self.applied

    def run(self, **options: bool) -> Everything:
        session = nullcontext(cast(Session, None))
        view = cast(View, SimpleNamespace(restore=None, apply=None, proof=None))
        return restore_everything(lambda: session, Asked(), Answering(), view, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("reboot", [True, False])
@pytest.mark.parametrize("not_stale", [True, False])
def test_hosts_are_restored_applied_and_verified(
    monkeypatch: pytest.MonkeyPatch, *, reboot: bool, not_stale: bool
) -> None:
    unsaved = RackwrightError("no kit")
    steps = Steps(monkeypatch, Applied(Run(), unsaved=unsaved))
    done = steps.run(not_stale=not_stale, reboot=reboot)
    assert steps.done == ["restore", Options(not_stale=not_stale, reboot=reboot), "verify"]
    assert done.unsaved is unsaved
    assert (len(done.proofs), done.failed) == (1, ())


def test_hosts_are_only_rebooted_if_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, Applied(Run()))
    steps.run(not_stale=True)
    assert steps.done[1] == Options(not_stale=True, reboot=False)


STEP = Step("gpu1", "vllm", "Write it", Outcome.FAILED)


@pytest.mark.parametrize(
    ("applied", "said"),
    [
        (Applied(Run(), failure=RackwrightError("no engine answers")), "no engine answers"),
        (Applied(Run((STEP,))), "not applied: gpu1"),
        (Applied(Run(interrupted=True)), "interrupted"),
    ],
)
def test_nothing_is_verified_that_was_not_applied(
    monkeypatch: pytest.MonkeyPatch, applied: Applied, said: str
) -> None:
    steps = Steps(monkeypatch, applied)
    with pytest.raises(RackwrightError, match=said):
        steps.run(not_stale=True)
    assert "verify" not in steps.done


def test_a_host_without_a_snapshot_stops_a_restore_by_name_and_not_one_of_all(bench: Bench) -> None:
    none = At("1999-01-01", until=datetime(1999, 1, 1, tzinfo=UTC))
    with bench.ways() as ways:
        with pytest.raises(UsageError, match="has no snapshot"):
            procedure._planned_or_not(bench.session, "gate1", ways, Asked(at=none))
        why = procedure._planned_or_not(bench.session, "gate1", ways, replace(Asked(at=none), everything=True))
    assert isinstance(why, str)
    assert "has no snapshot" in why
