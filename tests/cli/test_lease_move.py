"""Moving the control host with `lease move`. Hosts are folders on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.cli.lease import _moved
from rackwright.errors import LeasedError, RackwrightError
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.lock_file import write_lock
from rackwright.lifecycle.control.move import Moved, move_control
from rackwright.lifecycle.session import under_lease as leasing
from rackwright.lifecycle.session.under_lease import leased
from rackwright.state.applied import About, Applied, read_applied, write_applied
from rackwright.state.audit import read_audit
from rackwright.state.control import NAME, read_control
from rackwright.state.formats import stamp, utc_now
from rackwright.state.journal import Event, open_rollout
from rackwright.state.lease import Owner
from rackwright.state.lease_session import LeaseSession, hold
from rackwright.state.operator import Operator
from rackwright.state.schedule import Try, claim
from rackwright.state.store import FileStore
from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.schedule.world import attempt
from tests.shells import FolderHosts, FolderShell

BEN = Owner(who="ben@desk", machine="desk", why="apply", run="20261125T040501Z-ffff")
FLEET = """fleet: acme
hosts:
  gate1: {{address: 10.20.0.10{out}}}
  gate2: {{address: 10.20.0.12}}
  gpu1:  {{address: 10.20.0.11}}
models:
  assistant:
    source: hf:Qwen/Qwen3-8B-GGUF#*Q4_K_M.gguf
    runtime: {{kind: llama_cpp, version: b10434}}
    place: [{{on: [gpu1], replicas: 1, gpus: 0}}]
    names: [assistant]
    context: 2048
gateway:  {{on: [{gateways}], domain: llm.acme.internal}}
firewall: {{admin_from: [10.20.0.0/24], clients_from: [10.0.0.0/8]}}
{more}
"""
AS_IT_WAS = {"out": "", "gateways": "gate1, gate2", "more": ""}
OUT = {"out": ", disabled: power supply"}
TURNED = {"gateways": "gate2, gate1"}
FIRST_OF_CONTROL_OUT = {**OUT, "more": "control: [gate1, gate2, gpu1]"}
ON_GPU1 = {"more": "control: [gpu1]"}


class Fleet:
    """A fleet file, and hosts that can be unreachable."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "site.yml"
        self.write()
        self.hosts = {}
        for name in ("gate1", "gate2", "gpu1"):
            (folder / name).mkdir()
            self.hosts[name] = FolderShell(name=name, var=str(folder / name))
        self.said: list[str] = []

    def write(self, **changed: str) -> None:
        self.path.write_text(FLEET.format(**{**AS_IT_WAS, **changed}))

    @contextmanager
    def work(self, *, rollout: bool = False) -> Iterator[LeaseSession]:
        """Work under the lease, with the current fleet file."""
        fleet = load_fleet(self.path)
        remote = FolderHosts({name: self.hosts[name] for name in fleet.hosts})
        site = SimpleNamespace(
            fleet=fleet,
            remote=remote,
            operator=Operator("anna@laptop", "laptop"),
            store=FileStore(remote.connection(fleet.control[0])),
        )
        with leased(site, "apply", self, rollout=rollout) as lease_session:
            yield lease_session

    def store(self, name: str) -> FileStore:
        return FileStore(self.hosts[name])

    def records(self) -> dict[str, str | None]:
        found = {name: read_control(shell) for name, shell in self.hosts.items()}
        return {name: record.hosts[0] if record else None for name, record in found.items()}

    def move(self, *options: str, answers: str = "") -> Ran:
        return rackwright("-f", self.path, "lease", "move", *options, answers=answers)

    # The interface of a Console.

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    fleet = Fleet(tmp_path)
    monkeypatch.setattr("rackwright.remote.Remote", FolderHosts(fleet.hosts))
    monkeypatch.setattr("rackwright.remote.Background", lambda work: SimpleNamespace(result=work))
    monkeypatch.setattr(leasing, "note_leased_act", lambda *_: None)
    with fleet.work():
        pass
    return fleet


def test_every_gateway_and_control_host_knows_the_control_host(fleet: Fleet) -> None:
    assert fleet.records() == {"gate1": "gate1", "gate2": "gate1", "gpu1": None}


@pytest.mark.parametrize("changed", [OUT, TURNED, FIRST_OF_CONTROL_OUT, ON_GPU1])
def test_a_fleet_file_that_moves_it_is_refused(fleet: Fleet, changed: dict[str, str]) -> None:
    fleet.write(**changed)
    with pytest.raises(LeasedError) as error, fleet.work():
        raise AssertionError
    assert "gate1 is the control host" in str(error.value)
    assert "rackwright lease move" in str(error.value)
    assert fleet.records()["gate2"] == "gate1"


@pytest.mark.parametrize("changed", [TURNED, ON_GPU1])
def test_moved_it_has_what_the_former_one_kept(fleet: Fleet, changed: dict[str, str]) -> None:
    applied = Applied(About(fleet_file="site.yml", who="anna", run="r", when=utc_now()), {"site.yml": b"x"})
    write_applied(fleet.hosts["gate1"], applied)
    with fleet.work() as lease_session:
        lease_session.write(Event.OPENED, "r7", detail="model update assistant")
        lease_session.write(Event.CLOSED, "r7")
        lease_session.keep("rollout-r7.json", "{}")
        token = lease_session.lease.token
    fleet.write(**changed)
    moved = fleet.move("--yes", "--json")
    host = load_fleet(fleet.path).control[0]
    assert moved.document == {"control_hosts": [host], "former": ["gate1"], "copied": True, "lock_changed": False}
    store = fleet.store(host)
    assert [entry.rollout for entry in store.entries()] == ["r7", "r7"]
    assert store.kept("rollout-r7.json") == "{}"
    assert read_applied(fleet.hosts[host]) == applied
    assert [act.command for act in read_audit(fleet.hosts["gate1"]).acts] == [f"lease move from gate1 to {host}"]
    assert {fleet.records()["gate1"], fleet.records()["gate2"], fleet.records()[host]} == {host}
    with fleet.work() as lease_session:
        assert lease_session.lease.token > token


def test_after_the_move_an_older_fleet_file_is_refused(fleet: Fleet) -> None:
    fleet.write(**TURNED)
    fleet.move("--yes")
    fleet.write()
    with pytest.raises(LeasedError, match="gate2 is the control host"), fleet.work():
        raise AssertionError
    shown = rackwright("-f", fleet.path, "lease", "show")
    assert (shown.exit_code, "gate2 is the control host" in shown.stderr) == (11, True)


def test_moving_asks(fleet: Fleet) -> None:
    fleet.write(**TURNED)
    ran = fleet.move(answers="n\n")
    assert (ran.exit_code, "Move lease and journal from gate1 to gate2?" in ran.stderr) == (1, True)
    assert fleet.records()["gate2"] == "gate1"


def test_nothing_is_moved_that_is_there(fleet: Fleet) -> None:
    ran = fleet.move("--json")
    assert ran.document == {"control_hosts": ["gate1"], "former": [], "copied": False, "lock_changed": False}


def test_the_control_host_does_not_move_while_another_operator_has_the_lease(fleet: Fleet) -> None:
    fleet.write(**TURNED)
    with hold(fleet.store("gate1"), BEN):
        ran = fleet.move("--yes")
    assert (ran.exit_code, "ben@desk" in ran.stderr) == (11, True)
    assert fleet.records()["gate2"] == "gate1"


def test_with_an_open_rollout_it_stays(fleet: Fleet) -> None:
    with fleet.work() as lease_session:
        lease_session.write(Event.OPENED, "r7", detail="model update assistant")
    fleet.write(**OUT)
    ran = fleet.move("--yes", "--former-gone")
    assert (ran.exit_code, "r7" in ran.stderr) == (11, True)
    assert "control: [gate1] again" in ran.stderr


def drill(ago: timedelta = timedelta(0), **said: Any) -> Try:
    """Return a drill on ctl1 that last said so long ago that it works."""
    now = utc_now()
    return attempt(schedule="drill", start=now - timedelta(minutes=9), claimed=now, alive=now - ago, **said)


def test_while_a_scheduled_run_works_it_stays(fleet: Fleet) -> None:
    """A drill takes no lease and opens no rollout, and would go on writing to the former control host."""
    one = drill()
    claim(fleet.store("gate1"), one)
    fleet.write(**TURNED)
    ran = fleet.move("--yes", "--former-gone")
    assert (ran.exit_code, ran.stderr) == (
        11,
        f"error: schedule drill: it runs on ctl1 since {stamp(one.claimed)}, started by rw_tool@ctl1 (nightly); it"
        " must have ended before the lease and the journal can move\n"
        "  next: wait for it; rackwright schedule list shows its end\n",
    )
    assert fleet.records()["gate2"] == "gate1"
    assert fleet.store("gate2").read_all("schedules/drill") == {}


@pytest.mark.parametrize("one", [drill(timedelta(minutes=4)), drill(state="done", ended=utc_now())])
def test_one_that_has_ended_or_was_lost_moves_with_the_rest(fleet: Fleet, one: Try) -> None:
    claim(fleet.store("gate1"), one)
    fleet.write(**TURNED)
    assert fleet.move("--yes").exit_code == 0
    assert [*fleet.store("gate2").read_all("schedules/drill")] == [one.name]


def test_one_that_starts_while_the_operator_is_asked_counts_too(fleet: Fleet) -> None:
    @dataclass
    class Slow:
        said: str = ""

        def say(self, text: str) -> None: ...

        def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None:
            self.said = question
            claim(fleet.store("gate1"), drill())

    fleet.write(**TURNED)
    console: Any = Slow()
    with pytest.raises(LeasedError, match="schedule drill: it runs on ctl1"):
        move_control(load_fleet(fleet.path), console, former_gone=False)
    assert console.said == "Move lease and journal from gate1 to gate2?"
    assert fleet.records()["gate2"] == "gate1"


def test_a_former_one_out_of_reach_is_asked_about(fleet: Fleet) -> None:
    fleet.hosts["gate1"].gone = True
    fleet.write(**OUT)
    refused = fleet.move("--yes")
    assert (refused.exit_code, "--former-gone" in refused.stderr) == (3, True)
    asked = fleet.move(answers="y\nn\n")
    assert "Is gate1 out of use, and no operator at work?" in asked.stderr
    assert read_control(fleet.hosts["gate2"]).hosts == ("gate1",)
    moved = fleet.move("--yes", "--former-gone", "--json")
    assert moved.document == {"control_hosts": ["gate2"], "former": ["gate1"], "copied": False, "lock_changed": False}
    with fleet.work():
        pass


def test_if_all_control_hosts_were_lost_one_of_the_new_machines_goes_on_alone(fleet: Fleet, tmp_path: Path) -> None:
    """No host has a record of them, only the lock. There is nothing to copy: a restore has it."""
    everyone = ("gate1", "gate2", "gpu1")
    lock = Lock(fleet="acme", control=everyone, models={}, runtimes={}, ports={})
    write_lock(tmp_path / "site.lock", lock)
    for name in everyone:
        (tmp_path / name / NAME).unlink(missing_ok=True)
    fleet.write(more="control: [gate2]")
    assert load_fleet(fleet.path).control_hosts == everyone
    refused = fleet.move("--yes")
    assert (refused.exit_code, "--former-gone" in refused.stderr) == (3, True)
    assert load_fleet(fleet.path).control_hosts == everyone
    moved = fleet.move("--yes", "--former-gone", "--json")
    assert moved.document == {
        "control_hosts": ["gate2"],
        "former": [*everyone],
        "copied": False,
        "lock_changed": True,
    }
    assert load_fleet(fleet.path).control_hosts == ("gate2",)
    with fleet.work():
        pass
    assert fleet.records() == dict.fromkeys(everyone, "gate2")


def test_a_rollout_that_a_lost_control_host_had_open_is_closed_when_it_comes_back(fleet: Fleet) -> None:
    with fleet.work() as lease_session:
        lease_session.write(Event.OPENED, "r7", detail="model update assistant")
    fleet.hosts["gate1"].gone = True
    fleet.write(**OUT)
    fleet.move("--yes", "--former-gone")
    fleet.hosts["gate1"].gone = False
    fleet.write(**TURNED)
    with fleet.work():
        pass
    assert open_rollout(fleet.store("gate1").entries()) is None
    assert "r7" in fleet.said[-1]
    assert fleet.records()["gate1"] == "gate2"
    fleet.write()
    with pytest.raises(LeasedError, match="gate2 is the control host"), fleet.work():
        raise AssertionError


def test_a_lease_on_a_lost_control_host_counts_when_that_host_is_back(fleet: Fleet) -> None:
    fleet.hosts["gate1"].gone = True
    fleet.write(**OUT)
    fleet.move("--yes", "--former-gone")
    fleet.hosts["gate1"].gone = False
    fleet.write(**TURNED)
    with hold(fleet.store("gate1"), BEN), pytest.raises(LeasedError, match="ben@desk"), fleet.work():
        raise AssertionError


def test_moved_back_it_goes_on_with_the_journal_that_counts(fleet: Fleet, tmp_path: Path) -> None:
    with fleet.work() as lease_session:
        lease_session.write(Event.OPENED, "r7", detail="model update assistant")
    fleet.hosts["gate1"].gone = True
    fleet.write(**OUT)
    fleet.move("--yes", "--former-gone")
    with fleet.work() as lease_session:
        lease_session.write(Event.OPENED, "r8", detail="model update assistant")
        lease_session.write(Event.CLOSED, "r8")
    fleet.hosts["gate1"].gone = False
    fleet.write()
    assert fleet.move("--yes").exit_code == 0
    assert [entry.rollout for entry in fleet.store("gate1").entries()] == ["r8", "r8"]
    assert "r7" in (tmp_path / "gate1" / "control" / "journal.before").read_text()


def test_a_lost_one_that_must_be_the_control_host_again_says_what_it_had_open(fleet: Fleet) -> None:
    with fleet.work() as lease_session:
        lease_session.write(Event.OPENED, "r7", detail="model update assistant")
    fleet.hosts["gate1"].gone = True
    fleet.write(**{**OUT, "more": "control: [gpu1]"})
    fleet.move("--yes", "--former-gone")
    fleet.hosts["gate1"].gone, fleet.hosts["gpu1"].gone = False, True
    fleet.write()
    ran = fleet.move("--yes", "--former-gone")
    assert "gate1 has the rollout r7 (model update assistant) open" in ran.stderr


def test_the_tool_on_a_control_host_works_on_the_lock_after_an_apply() -> None:
    moved = Moved(hosts=("ctl1",), former=("gate1",), copied=True, locked=True)
    site: Any = SimpleNamespace(sibling=lambda suffix: Path(f"site.{suffix}"), tool_hosts=("ctl1",))
    assert _moved(moved, site)[1] == (
        "next: commit site.lock, which records this; then rackwright apply, because the tool on ctl1 works on the "
        "applied lock"
    )
    site.tool_hosts = ()
    assert _moved(moved, site)[1] == "next: commit site.lock, which records this"
