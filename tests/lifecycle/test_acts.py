"""Changes that commands make on hosts outside a run's steps are also acts in their audit logs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rackwright.errors import LeasedError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle import restart
from rackwright.lifecycle.apply import carry_out, settle
from rackwright.lifecycle.apply.plan import Restart
from rackwright.lifecycle.apply.stages import Options
from rackwright.lifecycle.drain.missing import MissingDrain
from rackwright.lifecycle.session import remember
from rackwright.lifecycle.session import under_lease as leasing
from rackwright.lifecycle.session.under_lease import leased
from rackwright.run import Run
from rackwright.state import lease_session as holding
from rackwright.state.lease import Owner
from rackwright.state.operator import Operator
from rackwright.state.store import FileStore
from tests.fleet.fleets import make_fleet
from tests.shells import LocalShell

BEN = Owner(who="ben@desk", machine="desk", why="apply", run="r0")
REPLICA = Replica("assistant", 1, "gpu1", 0)


class Console:
    def say(self, *_):
        pass

    stage = heard = confirm = say


@pytest.fixture
def acts(monkeypatch):
    """Host → the entries in its audit log."""
    written: dict[str, list[str]] = {}

    def write(shell, act):
        written.setdefault(shell, []).append(f"{act.command}: {act.what}: {act.outcome}")

    monkeypatch.setattr(remember, "write_audit", write)
    return written


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr(leasing, "ask_control_hosts", lambda *_: None)
    monkeypatch.setattr(leasing, "record_control_host", lambda *_: None)
    remote = SimpleNamespace(
        connection=lambda name: name, each=lambda names, work: {name: work(name) for name in dict.fromkeys(names)}
    )
    return SimpleNamespace(
        fleet=make_fleet(tmp_path / "site.yml"),
        remote=remote,
        store=FileStore(LocalShell(), str(tmp_path / "control")),
        operator=Operator("anna@vm (SHA256:abc)", "vm"),
        hosts={},
    )


def test_whose_lease_was_taken_over_is_written_on_the_control_host(session, acts):
    FileStore(session.store.shell, session.store.folder, seconds=0).acquire(BEN)
    with leased(session, "apply", Console()):
        (act,) = acts.pop("gate1")
    assert act.startswith("apply: took over an expired lease: ben@desk on desk")
    assert acts == {}


def test_a_lease_that_was_free_is_no_act(session, acts):
    with leased(session, "apply", Console()):
        assert acts == {}


def test_a_restart_is_written_on_the_engines_host_and_on_the_gateways_that_drained_it(session, acts, monkeypatch):
    monkeypatch.setattr(restart, "roll", lambda *_, **__: None)
    restart.restart(session, (REPLICA,), Console())
    line = "restart gpu1/assistant@1: restart gpu1/assistant@1: done"
    assert acts == {"gpu1": [line], "gate1": [line]}


def work(session, lease_session) -> carry_out.Work:
    return carry_out.Work(session, lease_session, Options(), Console(), stopping=lambda: False)


@pytest.fixture
def as_planned(monkeypatch):
    """Engines restart in the order of the plan; apply/test_procedure.py tests the order that gateways determine."""
    monkeypatch.setattr(carry_out, "_first_the_idle", lambda _, restarts: list(restarts))


@pytest.mark.usefixtures("as_planned")
def test_each_engine_that_an_apply_restarts_is_written_when_it_is_done(session, acts, monkeypatch):
    def roll(session, lease_session, restarts, console, done, **_):
        for one in restarts:
            done(one)
        raise RuntimeError("the next one fails")

    monkeypatch.setattr(carry_out, "roll", roll)
    restarted: list[Replica] = []
    with leased(session, "apply", Console()) as lease_session, pytest.raises(RuntimeError):
        carry_out._restart(work(session, lease_session), Run(), (Restart(REPLICA, "why"),), restarted)
    assert restarted == [REPLICA]
    assert acts == {host: ["apply: restart gpu1/assistant@1: done"] for host in ("gpu1", "gate1")}


@pytest.mark.usefixtures("as_planned")
def test_an_apply_reverts_only_an_engine_whose_unit_changes(session, acts, monkeypatch):
    """For an engine that only gets other GPUs, the kept version is the one that ran before its last update."""
    made = []
    monkeypatch.setattr(carry_out, "roll", lambda session, lease_session, changes, *_, **__: made.extend(changes))
    restarts = (Restart(REPLICA, "other settings"), Restart(REPLICA, "other GPUs", rewritten=False))
    with leased(session, "apply", Console()) as lease_session:
        carry_out._restart(work(session, lease_session), Run(), restarts, [])
    assert [change.revert is not None for change in made] == [True, False]


def test_what_an_apply_undrains_is_in_the_gateways_audit_log(session, acts, monkeypatch):
    def settled(session, lease_session, gateways, console, replicas, stopping, returned):
        for replica in replicas:
            returned(replica.address)

    session.hosts = {"gpu1": SimpleNamespace(p2p=None, model_store=None)}
    session.gateways = SimpleNamespace(only=lambda hosts: SimpleNamespace(hosts=tuple(hosts)))
    monkeypatch.setattr(carry_out, "settle", settled)
    with leased(session, "apply", Console()) as lease_session:
        carry_out._settle(work(session, lease_session), Run(), session.fleet.replicas)
    assert acts == {"gate1": ["apply: undrain gpu1/assistant@1: done"]}


def test_a_drain_that_a_gateway_did_not_know_is_written_there_once_it_was_told(session, acts, monkeypatch):
    monkeypatch.setattr(carry_out, "copy_drains", lambda session, missing: {"gate2": "disk full"})
    session.hosts = {"gate1": None, "gate2": None}
    record = SimpleNamespace(reason="fan")
    planned = SimpleNamespace(drains=[MissingDrain(name, REPLICA, record) for name in ("gate1", "gate2")])
    with leased(session, "apply", Console()) as lease_session:
        assert carry_out._drained_as_others(work(session, lease_session), Run(), planned) == {"gate2": "disk full"}
    assert acts == {"gate1": ["apply: drain gpu1/assistant@1: fan: done"]}


def test_without_the_role_of_engines_none_is_waited_for(session, monkeypatch):
    monkeypatch.setattr(carry_out, "settle", lambda *_: pytest.fail("it waits"))
    session.hosts = {"gpu1": None}
    with leased(session, "apply", Console()) as lease_session:
        carry_out._settle(
            carry_out.Work(session, lease_session, Options(("people",)), Console(), lambda: False), Run(), ()
        )


def test_settling_reports_what_it_undrained(session, monkeypatch):
    states = iter(
        (
            {"drained": True, "drained_manually": False, "takes_requests": False},
            {"takes_requests": True, "drained_manually": False},
        )
    )
    gateways = SimpleNamespace(
        hosts=("gate1",),
        servers=lambda: {REPLICA.address: SimpleNamespace(**{"drained": False, **next(states)})},
        undrain=lambda _: None,
    )
    monkeypatch.setattr(settle, "prove", lambda *_, **__: None)
    told: list[str] = []
    with leased(session, "apply", Console()) as lease_session:
        settle.settle(session, lease_session, gateways, Console(), (REPLICA,), lambda: False, told.append)
    assert told == [REPLICA.address]


def test_settling_undrains_nothing_without_the_lease(session, monkeypatch):
    gateways = SimpleNamespace(
        hosts=("gate1",),
        servers=lambda: {
            REPLICA.address: SimpleNamespace(drained=True, drained_manually=False, takes_requests=False)
        },
        undrain=lambda _: pytest.fail("it is returned"),
    )
    monkeypatch.setattr(settle, "prove", lambda *_, **__: None)
    monkeypatch.setattr(holding, "FRESH_SECONDS", 0)
    with leased(session, "apply", Console()) as lease_session:
        session.store.break_(session.store.show())
        with pytest.raises(LeasedError):
            settle.settle(session, lease_session, gateways, Console(), (REPLICA,), lambda: False)


def test_where_every_gateway_failed_an_engine_need_only_answer(session, monkeypatch):
    answers = iter(("not yet", None))
    monkeypatch.setattr(settle, "prove", lambda *_, **__: next(answers))
    monkeypatch.setattr(settle.time, "sleep", lambda _: None)
    with leased(session, "apply", Console()) as lease_session:
        settle.settle(
            session, lease_session, SimpleNamespace(hosts=(), servers=dict), Console(), (REPLICA,), lambda: False
        )
    assert next(answers, "asked twice") == "asked twice"


def test_no_engine_is_restarted_while_a_gateway_that_failed_may_send_to_it(session, monkeypatch):
    monkeypatch.setattr(carry_out, "roll", lambda *_, **__: pytest.fail("it restarts"))
    run = Run(unreachable={"gate1": "no route"})
    with leased(session, "apply", Console()) as lease_session, pytest.raises(RackwrightError) as caught:
        carry_out._restart(work(session, lease_session), run, (Restart(REPLICA, "why"),), [])
    assert caught.value.problems[0].what == "not restarted, because gate1 failed: gpu1/assistant@1"


def test_verifys_own_key_is_an_act_on_each_gateway(session, acts):
    remember.note_lent_key(session, "verify")
    assert acts == {"gate1": ["verify: an API key in the gateway's memory, for this run: lent"]}
