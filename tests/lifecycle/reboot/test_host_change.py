"""What is done to a host that reboots, how it is proven, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import HostError, HostsFailed, LeasedError, ProofError
from rackwright.lifecycle.reboot.boot_identity import BOOT_SECONDS
from rackwright.lifecycle.reboot.host_change import Reboots
from rackwright.run import Outcome, Run, Step
from rackwright.state import lease_session
from rackwright.state.rollout import HostPart
from tests.lifecycle.reboot.bench import Bench, lose_lease
from tests.lifecycle.reboot.machines import KERNEL, NEW, NEXT_KERNEL, OLD, WHY, OneBootScript, Session, session

TWO = (("gpu1", "assistant@1"), ("gpu1", "coder@1"), ("gpu2", "assistant@1"))


def reboots(bench: Bench, made: Session) -> Reboots:
    site: Any = made
    console: Any = bench.console
    return Reboots(site, bench.lease_session(made), console, lambda: False, bench.runs.append)


def part_of(made: Session, name: str = "gpu1", *, idle: tuple[str, ...] = ()) -> HostPart:
    replicas = tuple(one.address for one in made.fleet.parts_on(name))
    return HostPart(name=name, why=WHY, boot=made.machines[name].boot, replicas=replicas, idle=idle)


# The change.


def test_a_change_is_one_of_the_host_with_the_replicas_that_ran(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, TWO)
    part = part_of(made).model_copy(update={"replicas": ("gpu1/coder@1",)})
    change = reboots(bench, made).changed(rebooted=False, part=part)
    assert (change.host, change.why, change.addresses) == ("gpu1", WHY, {"gpu1/coder@1"})
    assert (change.gateway, change.exclusive) == (False, False)
    assert reboots(bench, made).changed(rebooted=True, part=part).series == change.series != ""


@pytest.mark.parametrize(("name", "gateway"), [("gpu1", True), ("gpu2", False)])
def test_while_a_gateway_or_control_host_changes_nothing_else_does(
    tmp_path: Path, bench: Bench, name: str, gateway: bool
) -> None:
    made = session(tmp_path, gateways=("gate1", "gpu1"), control=["gpu2"])
    change = reboots(bench, made).changed(rebooted=False, part=part_of(made, name))
    assert (change.gateway, change.exclusive) == (gateway, True)


def test_the_running_kernel_is_held_before_packages_and_the_new_one_armed_after_them(
    tmp_path: Path, bench: Bench
) -> None:
    made = session(tmp_path, kernel=NEXT_KERNEL)
    host = made.machines["gpu1"]
    change = reboots(bench, made).changed(rebooted=False, part=part_of(made))
    change.act()
    assert host.events == ["hold", "install", "arm", "reboot"]
    assert bench.acts == [(("gpu1",), f"reboot: {WHY}")]
    assert change.prove() is None
    change.commit()
    assert host.events[-1] == "commit"
    assert host.script
    assert (host.script.running, host.script.default) == (NEXT_KERNEL, NEXT_KERNEL)


def test_a_host_in_another_boot_is_not_touched(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path)
    change = reboots(bench, made).changed(rebooted=False, part=part_of(made))
    made.machines["gpu1"].boots = 1
    change.act()
    assert (made.machines["gpu1"].events, bench.acts) == ([], [])


def test_a_host_that_waits_only_for_its_kernel_is_rebooted_too(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, kernel=NEXT_KERNEL)
    made.machines["gpu1"].loaded = NEW
    reboots(bench, made).changed(rebooted=False, part=part_of(made)).act()
    assert made.machines["gpu1"].events == ["hold", "install", "arm", "reboot"]


def test_a_host_that_needs_no_reboot_any_more_is_not_rebooted(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path)
    made.machines["gpu1"].loaded = NEW
    reboots(bench, made).changed(rebooted=False, part=part_of(made)).act()
    assert (made.machines["gpu1"].events, bench.acts) == (["hold", "install"], [])


def test_a_host_that_has_rebooted_is_only_proven_and_committed(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path)
    change = reboots(bench, made).changed(rebooted=True, part=part_of(made))
    change.act()
    assert made.machines["gpu1"].events == []
    with pytest.raises(ProofError, match="was rebooted, but"):
        change.prove()
    made.machines["gpu1"].loaded = NEW
    assert change.prove() is None


def test_why_a_person_may_be_needed_is_said_before_the_reboot(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, kernel=NEXT_KERNEL)
    made.machines["gpu1"].script = OneBootScript(hands=("no-watchdog",))
    reboots(bench, made).changed(rebooted=False, part=part_of(made)).act()
    (said,) = bench.console.said
    assert said.startswith("gpu1  if the new kernel doesn't boot, a person is needed: it has no hardware watchdog")


def test_only_the_control_hosts_reboot_makes_the_lease_last(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, control=["gpu1"])
    for name in ("gpu1", "gpu2"):
        reboots(bench, made).changed(rebooted=False, part=part_of(made, name)).act()
    assert bench.lasting == [BOOT_SECONDS]


# What stops it.

FAILED = Run((Step("gpu1", "nvidia_driver", "Install driver", Outcome.FAILED, output=("a", "b", "c", "d", "e")),))


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (FAILED, "its driver could not be installed\n  - Install driver: b; c; d; e"),
        (Run(unreachable={"gpu1": "timed out"}), "its driver could not be installed\n  - timed out"),
        (Run(interrupted=True), "interrupted before its reboot"),
    ],
)
def test_a_host_whose_driver_is_not_installed_is_not_rebooted(
    tmp_path: Path, bench: Bench, run: Run, told: str
) -> None:
    made = session(tmp_path)
    bench.installs["gpu1"] = run
    with pytest.raises(HostsFailed) as caught:
        reboots(bench, made).changed(rebooted=False, part=part_of(made)).act()
    assert str(caught.value) == f"gpu1: {told}"
    assert made.machines["gpu1"].events == ["hold", "install"]
    assert bench.runs == [run]


def test_a_host_is_neither_armed_nor_rebooted_if_the_lease_was_lost_during_the_installation(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_session, "FRESH_SECONDS", -1)
    made = session(tmp_path, kernel=NEXT_KERNEL)
    bench.installed = lambda _: lose_lease(made)
    with pytest.raises(LeasedError):
        reboots(bench, made).changed(rebooted=False, part=part_of(made)).act()
    assert made.machines["gpu1"].events == ["hold", "install"]


def test_a_host_that_does_not_say_which_boot_this_is_is_not_rebooted(tmp_path: Path, bench: Bench) -> None:
    """Any later answer would look like another boot."""
    made = session(tmp_path)
    change = reboots(bench, made).changed(rebooted=False, part=part_of(made))
    made.machines["gpu1"].kills = 1
    with pytest.raises(HostError, match="asking which boot this is was ended by a signal"):
        change.act()
    assert (made.machines["gpu1"].events, bench.acts) == ([], [])


def test_a_host_that_does_not_say_whether_it_needs_a_reboot_has_failed(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path)

    def cut(name: str) -> None:
        made.machines[name].cut = True

    bench.installed = cut
    with pytest.raises(HostError, match="gpu1: unreachable"):
        reboots(bench, made).changed(rebooted=False, part=part_of(made)).act()


# The proof.

BAD = {
    "no module": ({"loaded": "none"}, f"was rebooted, but {NEW} is installed, no module runs"),
    "the old module": ({"loaded": OLD}, f"was rebooted, but {NEW} is installed, module {OLD} runs"),
    "the old kernel": (
        {"script": OneBootScript("fell-back", NEXT_KERNEL)},
        f"didn't boot {NEXT_KERNEL} and fell back",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_waiting_does_not_help_a_host_that_came_back_wrong(tmp_path: Path, bench: Bench, case: str) -> None:
    changes, what = BAD[case]
    made = session(tmp_path)
    for name, value in {"loaded": NEW, **changes}.items():
        setattr(made.machines["gpu1"], name, value)
    with pytest.raises(ProofError) as caught:
        reboots(bench, made).changed(rebooted=True, part=part_of(made)).prove()
    (problem,) = caught.value.problems
    assert (problem.where, problem.what) == ("gpu1", what)
    assert problem.next is not None
    assert problem.next.startswith("journalctl -b ")


def test_all_its_engines_must_answer_but_not_those_that_were_idle(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, TWO)
    made.machines["gpu1"].loaded = NEW
    made.answers["gpu1/coder@1"] = made.through["gpu1/coder@1"] = "HTTP 503"
    change = reboots(bench, made).changed(rebooted=True, part=part_of(made))
    assert change.revert
    for prove in (change.prove, change.serves, change.revert.prove, change.revert.serves):
        assert prove() == "gpu1/coder@1: HTTP 503"
    idle = reboots(bench, made).changed(rebooted=True, part=part_of(made, idle=("gpu1/coder@1",)))
    assert idle.idle == {"gpu1/coder@1"}
    assert idle.revert
    for prove in (idle.prove, idle.serves, idle.revert.prove, idle.revert.serves):
        assert prove() is None


def test_a_host_that_can_not_be_asked_for_its_driver_is_asked_again(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tmp_path)
    made.machines["gpu1"].loaded = NEW
    change = reboots(bench, made).changed(rebooted=True, part=part_of(made))
    monkeypatch.setattr(
        "rackwright.lifecycle.reboot.host_change.fell_back",
        lambda session, name: setattr(session.machines[name], "cut", True),
    )
    assert change.prove() == "unreachable"


# The way back.


def test_the_kernel_that_ran_before_is_booted_again(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path, kernel=NEXT_KERNEL)
    host = made.machines["gpu1"]
    change = reboots(bench, made).changed(rebooted=False, part=part_of(made))
    change.act()
    assert change.revert
    change.revert.act()
    assert host.events[-2:] == ["disarm", "reboot"]
    assert host.script
    assert (host.script.running, host.boots) == (KERNEL, 2)


@pytest.mark.parametrize(("state", "events"), [("none", []), ("armed", ["disarm"]), ("fell-back", ["disarm"])])
def test_a_host_that_still_runs_its_kernel_is_not_rebooted_on_the_way_back(
    tmp_path: Path, bench: Bench, state: str, events: list[str]
) -> None:
    made = session(tmp_path)
    made.machines["gpu1"].script = OneBootScript(state, "-" if state == "none" else NEXT_KERNEL)
    change = reboots(bench, made).changed(rebooted=False, part=part_of(made))
    assert change.revert
    change.revert.act()
    assert made.machines["gpu1"].events == events


def test_a_host_that_stays_as_it_is_only_has_to_answer(tmp_path: Path, bench: Bench) -> None:
    made = session(tmp_path)
    host = made.machines["gpu1"]
    host.script = OneBootScript("booted", NEXT_KERNEL, running=NEXT_KERNEL)
    change = reboots(bench, made).left(part_of(made))
    change.act()
    change.commit()
    assert (host.events, host.boots) == (["disarm"], 0)
    assert (change.prove(), change.revert, change.series) == (None, None, "")
    made.answers["gpu1/assistant@1"] = "HTTP 503"
    assert change.prove() == "gpu1/assistant@1: HTTP 503"
