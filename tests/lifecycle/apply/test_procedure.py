"""The order in which an apply waits for engines."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.apply import carry_out
from rackwright.lifecycle.apply import procedure as apply
from rackwright.lifecycle.apply.plan import Plan, Restart
from rackwright.lifecycle.apply.retiring import Retirement, Retiring
from rackwright.lifecycle.apply.stages import Options
from rackwright.lifecycle.gpus.assignment import Deferred
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.run import Run
from tests.lifecycle.patch.seen import two_hosts
from tests.lifecycle.session.test_agreements import allowing

OLD, NEW, CROWDED, WITHOUT = (Replica("assistant", number, "gpu1", 1) for number in (1, 2, 3, 4))


class Console:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The events in order: which replicas the apply waited for, and which restarted."""
    happened: list[str] = []

    def settled(work: object, run: Run, replicas: tuple[Replica, ...]) -> None:
        happened.append("settle " + " ".join(replica.name for replica in replicas))

    def restarted(work: object, run: Run, restarts: tuple[Restart, ...], done: list[Replica]) -> None:
        happened.append("restart " + " ".join(restart.replica.name for restart in restarts))

    monkeypatch.setattr(carry_out, "_prepare", lambda work, planned: (Run(), ()))
    monkeypatch.setattr(carry_out, "_serve", lambda work, planned, run: run)
    monkeypatch.setattr(carry_out, "_settle", settled)
    monkeypatch.setattr(carry_out, "_restart", restarted)
    monkeypatch.setattr(carry_out, "still_deferred", lambda session, before, hosts: before if "gpu1" in hosts else ())
    return happened


def carried_out(*deferred: Deferred) -> list[str]:
    """Carry out a plan on one host where OLD restarts; return the messages."""
    fleet = type("Fleet", (), {"replicas_on": lambda _, host: (OLD, NEW, CROWDED, WITHOUT)})()
    session = type("Session", (), {"fleet": fleet, "hosts": {"gpu1": None}})()
    console = Console()
    work = carry_out.Work(cast("Any", session), cast("Any", None), Options(), cast("Any", console), lambda: False)
    planned = cast(
        "Plan", SimpleNamespace(restarts=(Restart(OLD, "other"),), deferred=deferred, retirement=Retirement())
    )
    carry_out.carry_out(work, planned)
    return console.said


def test_new_engines_answer_before_old_ones_restart(order: list[str]) -> None:
    assert carried_out() == []
    assert order == ["settle assistant@2 assistant@3 assistant@4", "restart assistant@1"]


def test_a_replica_that_needs_gpus_of_a_restarting_one_is_awaited_after_it(
    order: list[str],
) -> None:
    said = carried_out(Deferred(CROWDED, "crowded", until_restarts=True), Deferred(WITHOUT, "no driver", False))
    assert said == ["gpu1/assistant@3: crowded", "gpu1/assistant@4: no driver"]
    assert order == ["settle assistant@2", "restart assistant@1", "settle assistant@3"]


def test_replicas_that_do_not_serve_restart_before_those_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carry_out, "await_gateways", lambda *_: {OLD.address, CROWDED.address})
    session = SimpleNamespace(remote=None, gateways=None)
    work = carry_out.Work(cast("Any", session), cast("Any", None), Options(), cast("Any", Console()), lambda: False)
    restarts = tuple(Restart(replica, "other") for replica in (OLD, NEW, CROWDED, WITHOUT))
    ordered = [restart.replica for restart in carry_out._first_the_idle(work, restarts)]
    assert ordered == [NEW, WITHOUT, OLD, CROWDED]


class Asked(Console):
    """An operator who agrees to every question, or one who isn't there (--yes)."""

    def __init__(self, *, there: bool) -> None:
        super().__init__()
        self.there = there

    def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None:
        if refusal and not self.there:
            raise refusal
        self.said.append(question)


CLOSING = cast("Plan", SimpleNamespace(closing={"gpu1": ("nginx (812) at 0.0.0.0:80",)}))
NOTHING = cast("Plan", SimpleNamespace(closing={}))


def test_a_port_that_would_close_is_asked_about_and_yes_is_no_answer() -> None:
    with pytest.raises(RackwrightError) as caught:
        apply.agree_to_close(CLOSING, Options(), cast("Any", Asked(there=False)))
    assert str(caught.value).splitlines() == [
        "these ports would close; keep them with firewall.allow in the fleet file, or agree to close them",
        "  - gpu1: nginx (812) at 0.0.0.0:80",
        "  next: rackwright apply --close-ports",
    ]
    apply.agree_to_close(CLOSING, Options(), cast("Any", console := Asked(there=True)))
    assert console.said == ["Ports that something listens on would close. Close them?"]


@pytest.mark.parametrize(("planned", "agreed"), [(CLOSING, True), (NOTHING, False)])
def test_who_agreed_before_or_closes_nothing_is_not_asked(planned: Plan, *, agreed: bool) -> None:
    apply.agree_to_close(planned, Options(close_ports=agreed), cast("Any", console := Asked(there=True)))
    assert console.said == []


def moving(*, outages: tuple[str, ...]) -> Plan:
    stopped = Retiring(OLD, 8100, "its GPUs are needed on gpu1")
    return cast("Plan", SimpleNamespace(retirement=Retirement((stopped,), outages)))


def test_a_move_that_leaves_a_model_without_a_replica_is_asked_about_and_yes_is_no_answer() -> None:
    with pytest.raises(RackwrightError) as caught:
        apply.agree_to_outages(moving(outages=("assistant",)), Options(), cast("Any", Asked(there=False)))
    assert str(caught.value).splitlines() == [
        "no replica of assistant would serve until another one answers; "
        "leave one where it is until the others serve, or allow planned downtime",
        "  - gpu1/assistant@1 stops first: its GPUs are needed on gpu1",
        "  next: rackwright apply --allow-outage",
    ]
    planned, console = moving(outages=("assistant",)), Asked(there=True)
    apply.agree_to_outages(planned, Options(), cast("Any", console))
    assert console.said == ["No replica of assistant serves until another one answers. Allow that?"]


@pytest.mark.parametrize(
    ("allow", "answered"),
    [
        ({"close_ports": True, "outage": "all"}, "unattended.allow.close_ports"),
        ({"close_ports": True}, None),
        ({"outage": ["assistant"]}, None),
    ],
)
def test_nobody_is_asked_in_an_unattended_apply_and_each_question_has_its_setting(
    allow: dict[str, Any], answered: str | None
) -> None:
    options = Options(unattended=Agreements(allowing(two_hosts(), **allow)))
    console: Any = Asked(there=True)
    with nullcontext() if answered else pytest.raises(RackwrightError, match=r"needs unattended\.allow"):
        apply.agree_to_close(CLOSING, options, console)
        apply.agree_to_outages(moving(outages=("assistant",)), options, console)
    assert not [line for line in console.said if line.endswith("?")]
    if answered and options.unattended:
        assert options.unattended.settings == (answered, "unattended.allow.outage (model assistant)")


@pytest.mark.parametrize(("outages", "agreed"), [(("assistant",), True), ((), False)])
def test_who_allowed_outages_or_has_none_is_not_asked(outages: tuple[str, ...], *, agreed: bool) -> None:
    console = Asked(there=True)
    apply.agree_to_outages(moving(outages=outages), Options(allow_outage=agreed), cast("Any", console))
    assert console.said == []
