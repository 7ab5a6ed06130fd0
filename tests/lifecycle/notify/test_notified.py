"""What a command reports of itself, at a real receiver: start, end and failure, once each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

import pytest

from rackwright.errors import HostsFailed, Problem, ProofError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.notify import deliver as deliver_module
from rackwright.lifecycle.notify.notified import notified
from tests.lifecycle.notify.fleets import Said, fleet_with
from tests.webhook_receiver import Receiver, webhook_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as started:
        yield started


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def fleet(receiver: Receiver) -> Fleet:
    return fleet_with({"url": receiver.url})


def run(fleet: Fleet, said: Said, *, agreed: bool = False, **words: bool) -> Any:
    return notified(fleet, "patch run", cast(Any, said), agreed=agreed, **words)


def test_start_and_end_are_reported(fleet: Fleet, said: Said, receiver: Receiver) -> None:
    with run(fleet, said) as notices:
        notices.started(("gpu1", "gpu2"), "r1")
        assert receiver.events == ["started"]
        notices.ends("patched: gpu1", ("gpu1",))
    started, ended = (one.document for one in receiver.posted)
    assert (started["event"], started["summary"]) == ("started", "patch run started: gpu1, gpu2")
    assert (started["hosts"], started["run"], started["fleet"]) == (["gpu1", "gpu2"], "r1", "acme")
    assert (ended["event"], ended["summary"]) == ("ended", "patch run ended: patched: gpu1")
    assert (ended["hosts"], ended["run"], ended["reason"]) == (["gpu1"], "r1", None)
    assert (said.lines, notices.undelivered) == ([], [])


def test_a_failure_is_reported_with_its_reason_and_the_next_command(
    fleet: Fleet, said: Said, receiver: Receiver
) -> None:
    error = ProofError("not proven after 600 s", where="gpu2", should="x", next="rackwright rollout resume")
    with suppress(ProofError), run(fleet, said) as notices:
        notices.started(("gpu1", "gpu2"), "r1")
        raise error
    failed = receiver.posted[-1].document
    assert receiver.events == ["started", "failed"]
    assert failed["summary"] == "patch run failed: gpu2: not proven after 600 s"
    assert (failed["reason"], failed["next"]) == ("gpu2: not proven after 600 s; x", "rackwright rollout resume")
    assert (failed["hosts"], failed["run"]) == (["gpu2"], "r1")


@pytest.mark.parametrize(
    ("error", "summary"),
    [
        (KeyboardInterrupt(), "patch run failed: interrupted"),
        (HostsFailed("1 host failed", listed=["gpu1: no route"]), "patch run failed: 1 host failed"),
        (OSError(28, "No space left on device", "/tmp/x"), "patch run failed: /tmp/x: No space left on device"),
        (RuntimeError("s3cret"), "patch run failed: unexpected RuntimeError; this is a bug in rackwright"),
    ],
)
def test_whatever_ends_the_block_is_reported_and_raised(
    fleet: Fleet, said: Said, receiver: Receiver, error: BaseException, summary: str
) -> None:
    with pytest.raises(type(error)), run(fleet, said, agreed=True):
        raise error
    (posted,) = receiver.posted
    assert posted.document["summary"] == summary
    assert "s3cret" not in str(posted.document)


def test_a_failure_can_be_noted_without_an_error(fleet: Fleet, said: Said, receiver: Receiver) -> None:
    with run(fleet, said, agreed=True) as notices:
        notices.fails([Problem("", "not passed", listed=("gpu1: lost",), next="rackwright drill clean")])
    assert receiver.posted[0].document["reason"] == "not passed\n  - gpu1: lost"
    assert (receiver.events, receiver.posted[0].document["hosts"]) == (["failed"], ["gpu1"])


def test_before_the_operator_has_agreed_nothing_is_reported(fleet: Fleet, said: Said, receiver: Receiver) -> None:
    with suppress(ProofError), run(fleet, said):
        raise ProofError("the gate is closed")
    with run(fleet, said):
        pass
    assert receiver.posted == []
    with run(fleet, said, agreed=True) as notices:
        notices.ends("nothing to patch", ())
    assert receiver.events == ["ended"]


def test_a_block_within_another_reports_nothing_of_its_own(fleet: Fleet, said: Said, receiver: Receiver) -> None:
    with run(fleet, said, agreed=True) as outer:
        with suppress(ProofError), run(fleet, said, agreed=True) as inner:
            inner.started(("gpu1",), "r1")
            raise ProofError("inner")
        outer.ends("done")
    assert receiver.events == ["ended"]
    with run(fleet, said, agreed=True, wanted=False) as unwanted:
        unwanted.started(("gpu1",), "r1")
    assert receiver.events == ["ended"]
    with run(fleet, said, agreed=True):
        pass
    assert receiver.events == ["ended", "ended"]


def test_a_receiver_hears_only_of_its_events(said: Said, receiver: Receiver) -> None:
    fleet = fleet_with({"url": receiver.url, "events": ["failed"]}, {"url": receiver.url, "events": ["ended"]})
    with run(fleet, said) as notices:
        notices.started(("gpu1",), "r1")
    with suppress(ProofError), run(fleet, said, agreed=True):
        raise ProofError("x")
    assert receiver.events == ["ended", "failed"]


def test_a_notice_that_isnt_delivered_is_a_line_and_changes_nothing(said: Said) -> None:
    with webhook_receiver(*[404] * 9) as refusing:
        fleet = fleet_with({"url": refusing.url})
        with run(fleet, said) as notices:
            notices.started(("gpu1",), "r1")
        with pytest.raises(ProofError, match="gpu1: lost"), run(fleet, said, agreed=True):
            raise ProofError("lost", where="gpu1")
    why = f"webhook {refusing.place}: answers 404; next: check notify[0].url"
    assert said.lines == [
        f"patch run started, but not everyone knows: {why}",
        f"patch run ended, but not everyone knows: {why}",
        f"patch run failed, but not everyone knows: {why}",
    ]
    assert [one.problems[0].what for one in notices.undelivered] == ["answers 404", "answers 404"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("s3cret")])
def test_what_goes_wrong_while_the_end_is_reported_changes_nothing(
    fleet: Fleet, said: Said, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def breaks(*_: object) -> None:
        raise error

    monkeypatch.setattr(deliver_module, "deliver", breaks)
    with run(fleet, said, agreed=True):
        pass
    with pytest.raises(ProofError, match="lost"), run(fleet, said, agreed=True):
        raise ProofError("lost")
    assert len(said.lines) == 2
    if isinstance(error, RuntimeError):
        with run(fleet, said) as notices:
            notices.started(("gpu1",), "r1")
        assert len(said.lines) == 4
    assert "s3cret" not in "".join(said.lines)


def test_ctrl_c_while_the_start_is_reported_stops_the_command(
    fleet: Fleet, said: Said, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    real, raised = deliver_module.deliver, []

    def interrupted(*words: Any) -> Any:
        if not raised:
            raised.append(True)
            raise KeyboardInterrupt
        return real(*words)

    monkeypatch.setattr(deliver_module, "deliver", interrupted)
    with pytest.raises(KeyboardInterrupt), run(fleet, said) as notices:
        notices.started(("gpu1",), "r1")
    assert receiver.events == ["failed"]


def test_without_receivers_nothing_is_imported() -> None:
    code = (
        "import sys\n"
        "from tests.lifecycle.notify.fleets import Said, make_fleet, Path\n"
        "from rackwright.lifecycle.notify.notified import notified\n"
        "with notified(make_fleet(Path('acme.yml')), 'patch run', Said(), agreed=True) as notices:\n"
        "    notices.started(('gpu1',), 'r1')\n"
        "    notices.ends('done')\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    assert [name for name in modules if name.startswith("rackwright.lifecycle.notify.")] == [
        "rackwright.lifecycle.notify.notified"
    ]
    assert not {"requests", "smtplib"} & set(modules)
