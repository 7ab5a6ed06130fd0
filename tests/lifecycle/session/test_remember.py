"""Where an apply records what it did: on each host that it changed, and on the control hosts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, ProofError
from rackwright.lifecycle.session import remember as module
from rackwright.run import Outcome, Run, Step
from rackwright.state.control import ControlRecord
from tests.lifecycle.schedule.world import Memory, fleet

RECORD = ControlRecord(hosts=("gate1",), number=2, since=datetime(2026, 11, 28, tzinfo=UTC), who="anna")

CONTROL = ("gate1", "gate2", "gate3")


class Session:
    """An apply of `models`; `gone`: unreachable hosts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *models: str, gone: tuple[str, ...] = ()) -> None:
        self.hosts, self.gone = dict.fromkeys(models), gone
        self.lock = SimpleNamespace(models={}, runtimes={})
        self.fleet = SimpleNamespace(
            control=CONTROL,
            control_hosts=CONTROL,
            tool_hosts=(),
            path=Path("site.yml"),
            sibling=str,
            file=SimpleNamespace(fleet="acme"),
        )
        self.remote = self
        self.recorded: list[str] = []
        self.applied: list[str] = []
        self.known: dict[str, ControlRecord] = {}
        self.control_recorded: list[str] = []
        self.went_out_from_here: list[str] = []
        self.acts: list[str] = []
        monkeypatch.setattr(module, "write_control", lambda host, record: self.control_recorded.append(host))
        monkeypatch.setattr(module, "write_record", lambda host, record: self.recorded.append(host))
        monkeypatch.setattr(module, "write_applied", lambda host, applied: self.applied.append(host))
        monkeypatch.setattr(module, "write_audit", lambda host, act: None)
        monkeypatch.setattr(module, "note_applied_from", lambda path, run: self.went_out_from_here.append(run))
        monkeypatch.setattr(module, "read_keys_file", lambda path: self.acts.append(f"read {path}"))
        monkeypatch.setattr(module, "keep_applied_keys", lambda host, keys, who: self.acts.append(f"keep {host}"))
        monkeypatch.setattr(module, "checkout", lambda fleet: self.acts.append("checkout"))
        monkeypatch.setattr(module, "applied_from", lambda *_, **__: None)
        monkeypatch.setattr(module, "last_applied", lambda *_: None)
        monkeypatch.setattr(module, "lock_digest", lambda lock: "d" * 64)

    def connection(self, name: str) -> str:
        if name in self.gone:
            raise HostError("unreachable", where=name)
        return name

    def each(self, names: Any, work: Any) -> Any:
        return {name: work(name) for name in names}

    def remember(self, *, failed: tuple[str, ...] = (), known: bool = False) -> None:
        steps = [Step(name, "replica", "Run it", Outcome.CHANGED) for name in self.hosts]
        steps += [Step(name, "replica", "Run it", Outcome.FAILED) for name in failed]
        hosts = {name: SimpleNamespace(applied_lock=None, control=self.known.get(name)) for name in self.hosts}
        surveyed = SimpleNamespace(hosts=hosts, control=RECORD)
        owner = SimpleNamespace(who="anna", why="apply")
        lease_session: Any = SimpleNamespace(lease=SimpleNamespace(owner=owner), run="20261128T000000Z-aaaa")
        session: Any = self
        look: Any = surveyed
        module.remember(session, lease_session, Run(tuple(steps)), look, known=known)


def test_every_control_host_has_what_was_applied(monkeypatch):
    session = Session(monkeypatch, "gate1", "gate2", "gpu1")
    session.remember()
    assert (session.recorded, session.applied) == (["gate1", "gate2", "gpu1"], [*CONTROL])


def test_the_keys_file_is_read_before_the_checkout_that_the_control_hosts_store(monkeypatch):
    """A key command in between must not make them drop a change that the stored file lacks."""
    session = Session(monkeypatch, "gate1", "gate2", "gpu1")
    session.remember()
    assert session.acts == ["read keys.yml", "checkout", "keep gate1", "keep gate2", "keep gate3"]


def test_every_host_knows_the_control_host(monkeypatch):
    session = Session(monkeypatch, "gate1", "gpu1", "gpu2")
    session.known = {"gate1": RECORD, "gpu2": RECORD.model_copy(update={"number": 1})}
    session.remember()
    assert session.control_recorded == ["gpu1", "gpu2"]


def test_also_when_the_apply_was_limited_to_others(monkeypatch):
    session = Session(monkeypatch, "gpu1")
    session.remember()
    assert (session.recorded, session.applied) == (["gpu1"], [*CONTROL])


def test_nothing_is_written_there_where_it_is_known_already(monkeypatch):
    session = Session(monkeypatch, "gpu1")
    session.remember(known=True)
    assert session.applied == []


def test_one_that_failed_is_not_told_and_one_out_of_reach_is_no_failure_of_what_was_limited_to_others(monkeypatch):
    session = Session(monkeypatch, "gate1", "gpu1", gone=("gate2",))
    session.remember(failed=("gpu1",))
    assert (session.recorded, session.applied) == (["gate1"], ["gate1", "gate3"])


def test_one_of_the_control_hosts_must_be_reached(monkeypatch):
    session = Session(monkeypatch, "gpu1", gone=("gate1", "gate2"))
    with pytest.raises(HostError):
        session.remember()


@pytest.mark.parametrize("failed", [CONTROL, CONTROL[:2]])
def test_an_apply_that_most_control_hosts_do_not_keep_is_not_the_one_that_went_out_last_from_here(
    monkeypatch, failed
):
    session = Session(monkeypatch, "gate1")
    session.remember(failed=failed)
    assert (session.applied, session.went_out_from_here) == ([*CONTROL[len(failed) :]], [])


def test_the_failure_of_one_control_host_leaves_the_files_on_most(monkeypatch):
    session = Session(monkeypatch, "gate1")
    session.remember(failed=CONTROL[:1])
    assert (session.applied, len(session.went_out_from_here)) == ([*CONTROL[1:]], 1)


def test_a_failure_is_recorded_with_what_it_lists() -> None:
    assert (
        module._end(ProofError("not ready", listed=["gpu1/a@1: HTTP 500"])) == "failed: not ready; gpu1/a@1: HTTP 500"
    )


def test_an_apply_lets_the_control_hosts_know_the_schedules(monkeypatch, tmp_path):
    session = Session(monkeypatch, "gate1", "gate2", "gpu1")
    known, store = fleet(tmp_path), Memory()
    session.fleet.tool_hosts, session.fleet.path = known.tool_hosts, known.path
    session.fleet.file, session.store = known.file, store
    session.remember(known=True)
    assert store.documents == {}
    session.remember()
    assert sorted(store.documents) == ["schedules/seen/drill.json", "schedules/seen/patch.json"]
    # The first run of a schedule does the same.
    store.silent = 1
    session.remember()
