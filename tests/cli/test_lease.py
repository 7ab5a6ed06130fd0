from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from rackwright.lifecycle.session import lease as procedure
from rackwright.state.audit import write_audit
from rackwright.state.journal import Event
from rackwright.state.lease import Owner
from rackwright.state.lease_session import LeaseSession, now
from rackwright.state.store import FileStore
from tests.cli.command_line import rackwright
from tests.shells import LocalShell

BEN = Owner(who="ben@desk", machine="desk", why="apply", run="20261125T040501Z-ffff")


@pytest.fixture
def store(monkeypatch, tmp_path):
    """The control host's folders, under tmp_path."""
    store = FileStore(LocalShell(), str(tmp_path / "control"))

    @contextmanager
    def control_store(fleet):
        yield store, store.shell

    monkeypatch.setattr(procedure, "control_store", control_store)
    monkeypatch.setattr(
        procedure, "write_audit", lambda shell, act: write_audit(shell, act, folder=str(tmp_path / "var"))
    )
    return store


def test_no_lease_is_said(site, store):
    assert rackwright("-f", site, "lease", "show").stdout == "there is no lease\n"
    assert rackwright("-f", site, "lease", "show", "--json").document == {"lease": None, "rollout": None}


def test_a_lease_is_shown_with_owner_beginning_and_end(site, store):
    store.acquire(BEN)
    shown = rackwright("-f", site, "lease", "show").stdout
    assert shown.startswith("ben@desk on desk since 20")
    assert "live; expires in" in shown
    document = rackwright("-f", site, "lease", "show", "--json").document["lease"]
    assert (document["who"], document["why"], document["live"], document["token"]) == ("ben@desk", "apply", True, 1)


def test_an_open_rollout_is_shown(site, store):
    lease = store.acquire(BEN)
    LeaseSession(store, lease, now()).write(Event.OPENED, "r7", detail="restart of gpu1")
    assert "the rollout r7 of ben@desk is open: restart of gpu1" in rackwright("-f", site, "lease", "show").stdout
    assert rackwright("-f", site, "lease", "show", "--json").document["rollout"]["id"] == "r7"


def test_breaking_needs_a_reason(site, store):
    assert "Missing option '--reason'" in rackwright("-f", site, "lease", "break", "-y").stderr


def test_breaking_asks_and_shows_whose_it_is(site, store):
    store.acquire(BEN)
    ran = rackwright("-f", site, "lease", "break", "--reason", "gone home", answers="n\n")
    assert ran.exit_code == 1
    assert "ben@desk on desk" in ran.stderr
    assert store.show().owner == BEN


def test_a_broken_lease_is_gone_and_written_down(site, store, tmp_path):
    store.acquire(BEN)
    ran = rackwright("-f", site, "lease", "break", "--reason", "gone home", "--yes", "--json")
    assert ran.document["broken"]["who"] == "ben@desk"
    assert store.show() is None
    act = json.loads((tmp_path / "var" / "audit.log").read_text())
    assert act["command"] == "lease break"
    assert "broke the lease of ben@desk" in act["what"]
    assert "gone home" in act["what"]


def test_breaking_no_lease_breaks_nothing(site, store):
    ran = rackwright("-f", site, "lease", "break", "--reason", "x", "-y")
    assert (ran.exit_code, ran.stdout) == (0, "there is no lease\n")
