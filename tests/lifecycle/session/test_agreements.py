"""What an unattended run may do: each question has its own setting, and nothing else answers it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import LeasedError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.unattended import Allow, Unattended
from rackwright.gateway import ServerState
from rackwright.lifecycle.rollout.outage_needs import outage_needs, require_outages
from rackwright.lifecycle.session.agreements import Agreements, Need, Setting, agree, away, outages_of
from tests.lifecycle.patch.hosts import two_hosts

REFUSAL = RackwrightError("these ports would close", should="keep them", next="rackwright apply --close-ports")
ALL = tuple(Setting)


class Console:
    """It fails if a person is asked."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def confirm(self, question: str, **_: object) -> None:
        raise AssertionError(f"asked: {question}")


def allowing(fleet: Fleet, **allow: Any) -> Fleet:
    unattended = Unattended(allow=Allow(**allow))
    return replace(fleet, file=fleet.file.model_copy(update={"unattended": unattended}))


def need(setting: Setting) -> Need:
    return Need(setting, "assistant" if setting in (Setting.OUTAGE, Setting.DOWNTIME) else None)


@pytest.mark.parametrize("asked", ALL)
@pytest.mark.parametrize("set_", ALL)
def test_only_its_own_setting_answers_a_question(asked: Setting, set_: Setting) -> None:
    value: Any = "all" if set_ in (Setting.OUTAGE, Setting.DOWNTIME) else True
    assert need(asked).allowed_by(allowing(two_hosts(), **{set_: value})) == (asked is set_)


@pytest.mark.parametrize("asked", ALL)
def test_without_settings_nothing_is_allowed(asked: Setting) -> None:
    assert not need(asked).allowed_by(two_hosts())


def test_every_model_must_be_named() -> None:
    fleet, console = allowing(two_hosts(), outage=["assistant"]), Console()
    other = Need(Setting.OUTAGE, "other")
    unattended = Agreements(fleet)
    unattended.require([need(Setting.OUTAGE)], REFUSAL, console)  # type: ignore[arg-type]
    with pytest.raises(RackwrightError, match=r"needs unattended\.allow\.outage \(model other\) in the fleet file"):
        unattended.require([need(Setting.OUTAGE), other], REFUSAL, console)  # type: ignore[arg-type]
    assert unattended.settings == ("unattended.allow.outage (model assistant)",)


def test_what_answered_is_said_once_and_kept() -> None:
    unattended, console = Agreements(allowing(two_hosts(), close_ports=True)), Console()
    for _ in range(2):
        agree("Close them?", REFUSAL, [Need(Setting.CLOSE_PORTS)], console, unattended)  # type: ignore[arg-type]
    assert console.said == ["allowed by unattended.allow.close_ports: these ports would close"]
    assert unattended.settings == ("unattended.allow.close_ports",)


def test_what_has_no_setting_is_refused_as_its_own_error() -> None:
    everything = allowing(
        two_hosts(), outage="all", downtime="all", close_ports=True, not_stale=True, drop_names=True
    )
    with pytest.raises(LeasedError, match="an unattended run never does that") as caught:
        agree("Go on?", LeasedError("unknown"), [], Console(), Agreements(everything))  # type: ignore[arg-type]
    assert caught.value.problems[0].next == "run the command without --unattended"


def test_a_refusal_names_the_missing_setting_instead_of_an_option() -> None:
    with pytest.raises(RackwrightError) as caught:
        agree("?", REFUSAL, [Need(Setting.CLOSE_PORTS)], Console(), Agreements(two_hosts()))  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert problem.should == "keep them; an unattended run needs unattended.allow.close_ports in the fleet file"
    assert "--close-ports" not in str(problem)


def test_a_person_is_asked_whatever_the_fleet_file_allows() -> None:
    asked = []

    class Person(Console):
        def confirm(self, question: str, **words: object) -> None:
            asked.append((question, words))

    agree("Close them?", REFUSAL, [Need(Setting.CLOSE_PORTS)], Person(), None)  # type: ignore[arg-type]
    assert asked == [("Close them?", {"refusal": REFUSAL})]


# Models without a replica for a while.


def states(*up: str) -> dict[str, ServerState]:
    names = ("gpu1/assistant@1", "gpu2/assistant@1")
    return {
        name: ServerState(name.partition("/")[0], name.partition("/")[2], False, name in up, 0, None)
        for name in names
    }


UP = ("gpu1/assistant@1", "gpu2/assistant@1")


def test_a_model_with_one_replica_needs_downtime_and_another_an_outage() -> None:
    fleet = two_hosts()
    assert away(fleet, "assistant") == Need(Setting.OUTAGE, "assistant")
    one = replace(fleet, replicas=fleet.replicas[:1])
    assert away(one, "assistant") == Need(Setting.DOWNTIME, "assistant")


@pytest.mark.parametrize(
    ("up", "host", "needs"),
    [
        (UP, "gpu1", ()),
        (UP[:1], "gpu1", (Need(Setting.OUTAGE, "assistant"),)),
        (UP[1:], "gpu1", ()),
        ((), "gpu1", ()),
        (UP, "gate1", (Need(Setting.OUTAGE, "assistant"),)),
    ],
    ids=["another serves", "the last one", "serves nothing", "none serves anyway", "the only gateway"],
)
def test_the_last_healthy_replica_is_found_before_anything_changes(
    up: tuple[str, ...], host: str, needs: tuple[Need, ...]
) -> None:
    fleet = two_hosts()
    assert outage_needs(fleet, states(*up), [fleet.parts_on(host)], (host,)) == needs


class Session:
    def __init__(self, fleet: Fleet, *up: str) -> None:
        self.fleet, self.gateways, self.up = fleet, self, up

    def servers(self) -> dict[str, ServerState]:
        return states(*self.up)


def test_an_outage_that_a_person_allowed_when_the_rollout_was_opened_counts() -> None:
    session: Any = Session(two_hosts(), *UP[:1])
    unattended, console = Agreements(session.fleet), Console()
    require_outages(session, unattended, console, hosts=["gpu1"], agreed=("assistant",))  # type: ignore[arg-type]
    with pytest.raises(RackwrightError, match="no replica of these models serves for a while: assistant"):
        require_outages(session, unattended, console, hosts=["gpu1"])  # type: ignore[arg-type]


def test_a_persons_run_and_one_that_changes_nothing_ask_no_gateway() -> None:
    require_outages(None, None, None, hosts=["gpu1"])  # type: ignore[arg-type]
    session: Any = SimpleNamespace(fleet=two_hosts())
    require_outages(session, Agreements(session.fleet), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("allow", "replicas", "outages"),
    [
        ({}, 2, ()),
        ({"outage": "all"}, 2, ("assistant",)),
        ({"downtime": "all"}, 2, ()),
        ({"outage": "all"}, 1, ()),
        ({"downtime": ["assistant"]}, 1, ("assistant",)),
    ],
)
def test_which_models_a_run_may_take_down(allow: dict[str, Any], replicas: int, outages: tuple[str, ...]) -> None:
    fleet = allowing(two_hosts(), **allow)
    fleet = replace(fleet, replicas=fleet.replicas[:replicas])
    assert outages_of(fleet, Agreements(fleet), allow_outage=True) == outages
    assert outages_of(fleet, None, allow_outage=True) == ("assistant",)
    assert Agreements(fleet).widened(["small"]) == ("small", *outages)
