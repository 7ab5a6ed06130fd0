from __future__ import annotations

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest

from rackwright.lifecycle.rollout import opened
from rackwright.lifecycle.session import session as session_module
from rackwright.lifecycle.update import resume
from rackwright.state.audit import write_audit
from rackwright.state.journal import Event
from rackwright.state.lease import Owner
from rackwright.state.lease_session import LeaseSession, now
from rackwright.state.rollout import Rollout
from rackwright.state.store import FileStore
from tests.cli.command_line import rackwright
from tests.shells import LocalShell

BEN = Owner(who="ben@desk", machine="desk", why="model update assistant", run="20261125T040501Z-ffff")


@pytest.fixture
def store(monkeypatch, tmp_path):
    """The control host's folders, under tmp_path."""
    store = FileStore(LocalShell(), str(tmp_path / "control"))

    @contextmanager
    def control_store(fleet):
        yield store, store.shell

    monkeypatch.setattr(opened, "control_store", control_store)
    monkeypatch.setattr(
        opened, "write_audit", lambda shell, act: write_audit(shell, act, folder=str(tmp_path / "var"))
    )
    return store


def begin(store):
    """Open a rollout that has a journal and no other files; return Ben's lease."""
    lease = store.acquire(BEN)
    LeaseSession(store, lease, now()).write(Event.OPENED, BEN.run, detail=BEN.why)
    return lease


def test_one_of_which_nothing_is_kept_can_be_left_as_the_error_says(site, store, tmp_path):
    store.release(begin(store))
    lost = rackwright("-f", site, "rollout", "abort", "-y")
    assert f"the file of the rollout {BEN.run} is missing" in lost.stderr
    assert "next: rackwright rollout abort --leave" in lost.stderr
    done = rackwright("-f", site, "rollout", "abort", "--leave", "-y", "--reason", "disk died")
    assert done.stdout == "model update assistant: aborted\n"
    assert rackwright("-f", site, "rollout", "status").stdout == "no rollout is open\n"
    assert store.entries()[-1].detail == "unchanged: disk died"
    assert f"left the rollout {BEN.run} as it was; reason: disk died" in (tmp_path / "var/audit.log").read_text()


MODELS = ("assistant",)


@pytest.mark.parametrize("verb", ["resume", "abort"])
@pytest.mark.parametrize(
    ("begun", "words", "agreed"), [((), (), ()), ((), ("--allow-outage",), MODELS), (MODELS, (), MODELS)]
)
def test_an_outage_can_be_agreed_to_when_it_is_ended(site, monkeypatch, verb, begun, words, agreed):
    """A pause at the last healthy replica says to run the same command with --allow-outage."""
    rollout = Rollout.model_construct(
        id="r7", what="model update assistant", who="ben", models=MODELS, outages=begun, after=None
    )
    done = []

    def carry_out(site, rollout, *_):
        done.append(rollout.outages)
        return ()

    monkeypatch.setattr(opened, "required", lambda _: SimpleNamespace(rollout=rollout))
    monkeypatch.setattr(resume, verb, carry_out)
    monkeypatch.setattr(session_module, "open_session", lambda *_, **__: nullcontext())
    assert rackwright("-f", site, "rollout", verb, "-y", *words).exit_code == 0
    assert done == [agreed]


def test_a_rollout_can_not_be_left_while_another_operator_has_the_lease(site, store):
    begin(store)
    done = rackwright("-f", site, "rollout", "abort", "--leave", "-y")
    assert (done.exit_code, store.entries()[-1].event) == (11, Event.OPENED)


def test_where_none_is_open_there_is_nothing_to_leave(site, store):
    done = rackwright("-f", site, "rollout", "abort", "--leave", "-y")
    assert (done.exit_code, "no rollout is open" in done.stderr) == (2, True)
