"""Which hosts wait for a reboot, which are rebooted, and which drivers don't change under running engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.lifecycle.apply import carry_out, reboot
from rackwright.lifecycle.apply import procedure as apply
from rackwright.lifecycle.apply.reboot import pending, reboot_all, refuse_swap
from rackwright.lifecycle.apply.stages import Applied, Options
from rackwright.operations.facts.found_driver import FoundDriver
from rackwright.remote import Completed
from rackwright.run import Outcome, Run, Step
from tests.fleet.fleets import make_fleet
from tests.lifecycle.simulation import Clock

NEW, OLD = "580.95.05", "570.86.15"
HOSTS = ("gpu1", "gpu2", "gpu3")


@dataclass
class Host:
    """A host that boots into the driver that was installed, unless something is wrong with it."""

    name: str = ""
    loaded: str = OLD
    after: str = NEW
    """The module's version after a reboot."""
    gone: bool = False
    stays_away: bool = False
    engines: bool = True
    boots: int = 0
    leaving: int = 0
    """How many more questions it answers before it goes down."""
    down: int = 0
    """For how many more questions it is unreachable."""
    kills: int = 0
    """How many answers break off where the host would say which boot this is."""
    kills_on_its_way_down: int = 0

    def run(self, command: str, *, timeout: float | None = 60) -> Completed:
        if self.gone:
            raise HostError("unreachable", where=self.name)
        if "systemctl reboot" in command:
            self.leaving, self.kills = 2, self.kills_on_its_way_down
            return Completed(0)
        if self.kills and "/sys/module/nvidia/version" in command:
            self.kills -= 1
            return Completed(143, f"{self.loaded}\n6.12.117\nboot-{self.boots}\n".encode(), b"", self.name)
        if self.leaving:
            before = self._state()
            self.leaving -= 1
            if not self.leaving:
                self._boot()
            return before
        if self.down:
            self.down -= 1
            raise HostError("connection refused", where=self.name)
        if "is-active" in command:
            return Completed(0 if self.engines else 3)
        if "is-system-running" in command:
            return Completed(0, b"running\n")
        assert "/sys/module/nvidia/version" in command
        return self._state()

    def _boot(self) -> None:
        self.boots += 1
        self.loaded, self.down = self.after, 3
        self.gone = self.stays_away

    def _state(self) -> Completed:
        return Completed(0, f"{self.loaded}\n6.12.117\nboot-{self.boots}\n1.2\n3\n".encode())

    def close(self) -> None:
        pass


@dataclass
class Session:
    fleet: Fleet
    machines: dict[str, Host]
    hosts: dict[str, Any]
    takes: set[str] = field(default_factory=set)
    """Addresses of the replicas that take requests."""
    gateways_answer: bool = True

    @property
    def remote(self) -> SimpleNamespace:
        def run_on(names: Any, command: str) -> dict[str, Completed | HostError]:
            found: dict[str, Completed | HostError] = {}
            for name in names:
                try:
                    found[name] = self.machines[name].run(command)
                except HostError as error:
                    found[name] = error
            return found

        return SimpleNamespace(connection=self.machines.__getitem__, run_on=run_on, open_ahead=lambda names: None)

    @property
    def gateways(self) -> SimpleNamespace:
        def servers() -> dict[str, SimpleNamespace]:
            if not self.gateways_answer:
                raise HostError("gate1: asking for states failed")
            return {
                one.address: SimpleNamespace(takes_requests=one.address in self.takes) for one in self.fleet.replicas
            }

        return SimpleNamespace(servers=servers)


@dataclass
class Console:
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def stage(self, *_: object, **__: object) -> None:
        pass

    heard = confirm = stage


@pytest.fixture(autouse=True)
def acts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[str, ...], str]]:
    """The entries in the hosts' audit logs; time is simulated."""
    written: list[tuple[tuple[str, ...], str]] = []
    clock = Clock()
    monkeypatch.setattr(
        reboot, "note_leased_act", lambda session, lease_session, hosts, what: written.append((tuple(hosts), what))
    )
    monkeypatch.setattr(reboot, "time", SimpleNamespace(monotonic=clock.now, sleep=clock.sleep))
    return written


def session(
    *, gateways: tuple[str, ...] = ("gate1",), local: str | None = None, version: str | None = NEW
) -> Session:
    hosts = {name: {"address": f"10.0.0.{number}"} for number, name in enumerate(("gate1", "gate2", *HOSTS), 1)}
    if local:
        hosts[local] = {"address": "@local"}
    gateway = {"on": list(gateways), "domain": "llm.acme.internal"}
    made = make_fleet(
        Path("site.yml"), replicas={name: ["assistant@1"] for name in HOSTS}, hosts=hosts, gateway=gateway
    )
    replicas = tuple(Replica("assistant", 1, name, 8) for name in HOSTS)
    fleet = Fleet(made.path, made.file, replicas, made.sources, {})
    engine = SimpleNamespace(unit="rackwright-assistant@1.service")
    none = {"cuda": None, "p2p": None, "model_store": None}
    models = {
        name: SimpleNamespace(driver=SimpleNamespace(version=version, kernel=None), replicas=(engine,), **none)
        for name in HOSTS
    }
    models["gate1"] = SimpleNamespace(driver=None, replicas=(), **none)
    return Session(fleet, {name: Host(name) for name in ("gate1", *HOSTS)}, models)


HELD = SimpleNamespace(check=lambda: None, lasting=lambda seconds: nullcontext())


def rebooted(
    made: Session, *names: str, allow_outage: bool = False, console: Console | None = None
) -> dict[str, str]:
    waiting = dict.fromkeys(names, f"{NEW} is installed, module {OLD} runs")
    return reboot_all(made, HELD, waiting, console or Console(), allow_outage=allow_outage)


# Which hosts wait.


@pytest.mark.parametrize(
    ("loaded", "version", "why"),
    [
        (NEW, NEW, None),
        (OLD, NEW, f"{NEW} is installed, module {OLD} runs"),
        ("none", NEW, f"{NEW} is installed, no module runs"),
        (OLD, None, None),
        ("none", None, "a driver is installed, no module runs"),
    ],
)
def test_a_host_waits_while_its_module_is_not_what_is_installed(
    loaded: str, version: str | None, why: str | None
) -> None:
    made = session(version=version)
    made.machines["gpu1"].loaded = loaded
    assert pending(made, ("gpu1", "gate1")).waiting == ({"gpu1": why} if why else {})


def test_a_host_that_can_not_be_asked_does_not_wait_for_a_reboot() -> None:
    made = session()
    made.machines["gpu1"].gone = True
    found = pending(made, ("gpu1", "gpu2"))
    assert (list(found.waiting), found.unreachable) == (["gpu2"], {"gpu1": "unreachable"})


def test_a_question_that_failed_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    made = session()
    monkeypatch.setattr(
        made.machines["gpu1"], "run", lambda command: Completed(1, b"", b"sudo: a password is required\n")
    )
    found = pending(made, ("gpu1",))
    assert (found.waiting, found.unreachable) == ({}, {"gpu1": "can't be asked: sudo: a password is required"})


# Which hosts are rebooted.


def test_a_host_that_does_not_say_which_boot_this_is_is_not_rebooted(acts: list[Any]) -> None:
    """Any later answer would look like another boot."""
    made = session()
    made.machines["gpu1"].kills = 1
    reason = rebooted(made, "gpu1")["gpu1"]
    assert reason.startswith("not rebooted: asking which boot this is was ended by a signal")
    assert (made.machines["gpu1"].boots, acts) == (0, [])


def test_what_a_host_says_as_it_goes_down_is_no_sign_that_it_is_back() -> None:
    made = session()
    made.machines["gpu1"].kills_on_its_way_down = 2
    assert rebooted(made, "gpu1") == {}
    assert (made.machines["gpu1"].boots, made.machines["gpu1"].loaded) == (1, NEW)


def test_hosts_reboot_one_after_another_and_each_comes_back_with_its_driver(acts: list[Any]) -> None:
    made, console = session(), Console()
    assert rebooted(made, "gpu1", "gpu2", console=console) == {}
    assert [host.boots for host in made.machines.values()] == [0, 1, 1, 0]
    assert console.said == [
        f"gpu1: rebooting: {NEW} is installed, module {OLD} runs",
        "gpu1: is back",
        f"gpu2: rebooting: {NEW} is installed, module {OLD} runs",
        "gpu2: is back",
    ]
    assert [hosts for hosts, _ in acts] == [("gpu1",), ("gpu2",)]


def test_a_host_that_takes_requests_is_left_and_those_after_it_go_no_further() -> None:
    made = session()
    made.takes = {"gpu1/assistant@1"}
    assert rebooted(made, "gpu1", "gpu2") == {
        "gpu1": "serves gpu1/assistant@1, not rebooted; next: rackwright drain gpu1",
        "gpu2": f"reboot pending: {NEW} is installed, module {OLD} runs; not rebooted, because gpu1 was not",
    }
    assert [host.boots for host in made.machines.values()] == [0, 0, 0, 0]
    assert rebooted(made, "gpu1", allow_outage=True) == {}


def test_a_host_whose_engines_do_not_run_is_rebooted_though_no_gateway_answers() -> None:
    made = session()
    made.gateways_answer = False
    made.machines["gpu1"].engines = False
    assert rebooted(made, "gpu1") == {}
    assert rebooted(made, "gpu2") == {"gpu2": "not rebooted: gate1: asking for states failed"}


def test_the_only_gateway_is_left() -> None:
    made = session(gateways=("gpu1",))
    assert rebooted(made, "gpu1") == {
        "gpu1": "is the only gateway, not rebooted; next: rackwright apply --reboot --allow-outage -l gpu1"
    }
    assert rebooted(session(gateways=("gpu1", "gate2")), "gpu1") == {}
    assert rebooted(made, "gpu1", allow_outage=True) == {}


def test_the_machine_that_this_runs_on_is_never_rebooted() -> None:
    made = session(local="gpu1")
    for allow_outage in (False, True):
        (why,) = rebooted(made, "gpu1", allow_outage=allow_outage).values()
        assert (
            why == "is the machine that rackwright runs on, not rebooted; next: reboot it, then run rackwright apply"
        )
    assert made.machines["gpu1"].boots == 0


FAILING = {
    "comes back without": ({"after": "none"}, f"was rebooted, but {NEW} is installed, no module runs; next: "),
    "comes back with the old one": (
        {"after": OLD},
        f"was rebooted, but {NEW} is installed, module {OLD} runs; next: ",
    ),
    "stays away": ({"stays_away": True}, "did not come back within 1800 s of its reboot; look at its console"),
    "was gone before": ({"gone": True}, "not rebooted: unreachable"),
}


@pytest.mark.parametrize("case", FAILING)
def test_the_first_that_does_not_come_back_right_ends_it(case: str) -> None:
    changes, why = FAILING[case]
    made = session()
    made.machines["gpu1"] = Host("gpu1", **changes)
    failed = rebooted(made, "gpu1", "gpu2", "gpu3")
    assert failed["gpu1"].startswith(why)
    assert set(failed) == {"gpu1", "gpu2", "gpu3"}
    assert [made.machines[name].boots for name in ("gpu2", "gpu3")] == [0, 0]


def test_a_lost_lease_reboots_nothing() -> None:
    def lost() -> None:
        raise RackwrightError("lost")

    made = session()
    with pytest.raises(RackwrightError, match="lost"):
        reboot_all(made, SimpleNamespace(check=lost), {"gpu1": "x"}, Console(), allow_outage=False)
    assert made.machines["gpu1"].boots == 0


# What an apply does with it.


def drivers_act(made: Session, **options: Any) -> dict[str, str]:
    work = SimpleNamespace(session=made, lease_session=HELD, options=Options(**options), console=Console())
    return carry_out._driver_acts(work, Run())


def test_without_reboot_a_host_whose_engines_need_the_driver_goes_no_further() -> None:
    made = session()
    made.machines["gpu2"].loaded = NEW
    made.machines["gpu3"].gone = True
    assert drivers_act(made) == {
        "gpu1": f"reboot pending: {NEW} is installed, module {OLD} runs; next: rackwright apply --reboot",
        "gpu3": "unreachable",
    }


def test_a_host_that_is_out_of_reach_is_named_and_not_rebooted() -> None:
    made = session()
    made.machines["gpu1"].gone = True
    assert drivers_act(made, reboot=True) == {"gpu1": "unreachable"}
    assert [made.machines[name].boots for name in HOSTS] == [0, 1, 1]


def planned(*names: str, loaded: str | None = OLD, active: str = "active", role: str = "nvidia_driver") -> Any:
    step = f"Install driver {NEW} with kernel 6.12.117"
    surveyed = {
        name: SimpleNamespace(
            replicas={"assistant@1": SimpleNamespace(active=active)}, driver=FoundDriver(loaded=loaded)
        )
        for name in HOSTS
    }
    return SimpleNamespace(
        closing={},
        run=Run(tuple(Step(name, role, step, Outcome.WOULD_CHANGE) for name in names)),
        surveyed=SimpleNamespace(hosts=surveyed, control=None),
        empty=not names,
    )


def refused(made: Session, plan: Any, **options: Any) -> str | None:
    try:
        refuse_swap(made, plan, **{"reboot": False, "allow_outage": False, **options})
    except RackwrightError as error:
        return str(error)
    return None


def test_a_driver_is_not_changed_under_running_engines() -> None:
    told = refused(session(), planned("gpu1", "gpu3"))
    assert told is not None
    assert f"\n  - gpu1: module {OLD} is in use by assistant@1; {NEW} would replace it\n  - gpu3: " in told
    assert "rackwright drain HOST, then rackwright apply --reboot -l HOST" in told


@pytest.mark.parametrize(
    "changes", [{"active": "inactive"}, {"loaded": None}, {"loaded": NEW}, {"role": "cuda"}], ids=str
)
def test_a_driver_that_no_engine_runs_on_may_change(changes: dict[str, Any]) -> None:
    assert refused(session(), planned("gpu1", **changes)) is None


def test_with_a_reboot_it_may_change_where_the_host_can_be_rebooted() -> None:
    made = session()
    assert refused(made, planned("gpu1"), reboot=True) is None
    made.takes = {"gpu1/assistant@1"}
    told = refused(made, planned("gpu1", "gpu2"), reboot=True)
    assert told is not None
    assert "gpu1 serves gpu1/assistant@1, not rebooted" in told
    assert "gpu2" not in told
    assert refused(made, planned("gpu1"), reboot=True, allow_outage=True) is None


def applied(monkeypatch: pytest.MonkeyPatch, made: Session, **options: Any) -> tuple[Console, bool]:
    """Return the messages, and whether anything was carried out, where the plan is empty."""
    carried: list[object] = []

    @contextmanager
    def leased(*_: object) -> Iterator[object]:
        yield HELD

    monkeypatch.setattr(apply, "leased", leased)
    monkeypatch.setattr(apply, "compared", lambda session: None)
    monkeypatch.setattr(apply, "plan", lambda session, only: planned())
    monkeypatch.setattr(apply, "refuse_stale_checkout", lambda *_, **__: True)
    monkeypatch.setattr(apply, "_remember", lambda *_, **__: None)
    monkeypatch.setattr(apply, "_saved", lambda session, applied, *_: applied)
    monkeypatch.setattr(apply, "_carry_out", lambda *_: carried.append(1) or Applied(Run()))
    console = Console()
    apply.apply(made, Options(**options), console, lambda plan: None)
    return console, bool(carried)


def test_a_reboot_that_was_left_over_is_made_though_nothing_else_is_to_be_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = session()
    for name in ("gpu2", "gpu3"):
        made.machines[name].loaded = NEW
    console, carried = applied(monkeypatch, made, reboot=True)
    assert (carried, console.said) == (True, [f"gpu1: will reboot: {NEW} is installed, module {OLD} runs"])
    assert applied(monkeypatch, made) == (Console(), False)
    made.machines["gpu1"].loaded = NEW
    assert applied(monkeypatch, made, reboot=True) == (Console(), False)
