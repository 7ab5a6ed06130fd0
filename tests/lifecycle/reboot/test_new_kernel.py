"""A new kernel boots once, and for good only after the proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.reboot.new_kernel import armed, committed, disarmed, fell_back, held, looked, untried
from tests.lifecycle.reboot.machines import KERNEL, NEXT_KERNEL, Machine, OneBootScript, Session, session

STATES = {
    "none": OneBootScript(),
    "armed": OneBootScript("armed", NEXT_KERNEL),
    "booted": OneBootScript("booted", NEXT_KERNEL, running=NEXT_KERNEL),
    "fell-back": OneBootScript("fell-back", NEXT_KERNEL),
}


def host_in(folder: Path, script: OneBootScript | None, kernel: str | None = NEXT_KERNEL) -> tuple[Session, Machine]:
    made = session(folder, kernel=kernel)
    made.machines["gpu1"].script = script
    return made, made.machines["gpu1"]


def script_in(state: str, **changes: object) -> OneBootScript:
    return OneBootScript(**{**vars(STATES[state]), **changes})  # type: ignore[arg-type]


def test_a_host_without_its_script_keeps_nothing_and_says_so_when_it_is_armed(tmp_path: Path) -> None:
    made, host = host_in(tmp_path, None)
    assert looked(made, "gpu1") is None
    held(made, "gpu1")
    committed(made, "gpu1")
    assert armed(made, "gpu1", NEXT_KERNEL) == (
        "it has no /etc/rackwright/one-boot yet, so its next kernel boots by default at once",
    )
    assert (fell_back(made, "gpu1"), disarmed(made, "gpu1")) == (None, False)
    assert host.events == []


@pytest.mark.parametrize("state", STATES)
def test_what_the_host_says_is_read(tmp_path: Path, state: str) -> None:
    made, _ = host_in(tmp_path, script_in(state))
    found = looked(made, "gpu1")
    assert found
    assert (found.state, found.armed) == (state, None if state == "none" else NEXT_KERNEL)


def test_an_answer_that_can_not_be_read_is_an_error_of_its_host(tmp_path: Path) -> None:
    made, _ = host_in(tmp_path, script_in("none", running="-"))
    with pytest.raises(HostError, match="gpu1: answered something that rackwright can't read: what boots next"):
        looked(made, "gpu1")


@pytest.mark.parametrize(
    ("state", "hands", "events"),
    [
        ("none", (), ["hold"]),
        ("none", ("no-watchdog",), ["hold"]),
        ("none", ("no-grub",), []),
        ("armed", (), []),
        ("booted", (), []),
        ("fell-back", (), []),
    ],
)
def test_the_running_kernel_is_held_where_nothing_is_armed(
    tmp_path: Path, state: str, hands: tuple[str, ...], events: list[str]
) -> None:
    made, host = host_in(tmp_path, script_in(state, hands=hands))
    held(made, "gpu1")
    assert host.events == events


@pytest.mark.parametrize(
    ("kernel", "running", "events"),
    [(NEXT_KERNEL, KERNEL, ["arm"]), (NEXT_KERNEL, NEXT_KERNEL, []), (None, KERNEL, [])],
    ids=["another", "the same", "none in the lock"],
)
def test_only_another_kernel_is_armed(tmp_path: Path, kernel: str | None, running: str, events: list[str]) -> None:
    made, host = host_in(tmp_path, script_in("none", running=running), kernel)
    assert armed(made, "gpu1", kernel) == ()
    assert host.events == events


@pytest.mark.parametrize(
    ("hand", "said", "events"),
    [
        ("no-watchdog", "it has no hardware watchdog", ["arm"]),
        ("container", "it is a container, which has no boot loader", []),
    ],
)
def test_why_a_person_may_be_needed_is_returned(tmp_path: Path, hand: str, said: str, events: list[str]) -> None:
    made, host = host_in(tmp_path, script_in("none", hands=(hand,)))
    (hands,) = armed(made, "gpu1", NEXT_KERNEL)
    assert hands.startswith(said)
    assert host.events == events


def arms(made: Any, name: str) -> None:
    armed(made, name, NEXT_KERNEL)


@pytest.mark.parametrize("state", STATES)
def test_a_host_fell_back_only_if_it_booted_another_kernel_than_the_armed_one(tmp_path: Path, state: str) -> None:
    made, _ = host_in(tmp_path, script_in(state))
    assert fell_back(made, "gpu1") == (NEXT_KERNEL if state == "fell-back" else None)


@pytest.mark.parametrize("state", STATES)
def test_a_kernel_is_untried_while_another_runs_and_nothing_was_armed(tmp_path: Path, state: str) -> None:
    made, _ = host_in(tmp_path, script_in(state))
    assert untried(made, "gpu1", NEXT_KERNEL) == (state == "none")
    assert not untried(made, "gpu1", None)
    if state == "none":
        assert not untried(made, "gpu1", KERNEL)


def test_without_its_script_no_kernel_is_untried(tmp_path: Path) -> None:
    made, _ = host_in(tmp_path, None)
    assert not untried(made, "gpu1", NEXT_KERNEL)


@pytest.mark.parametrize(("hands", "events"), [((), ["commit"]), (("no-watchdog",), ["commit"]), (("no-grub",), [])])
@pytest.mark.parametrize("state", ["none", "booted"])
def test_the_running_kernel_becomes_the_default_where_the_host_has_one(
    tmp_path: Path, state: str, hands: tuple[str, ...], events: list[str]
) -> None:
    made, host = host_in(tmp_path, script_in(state, hands=hands))
    committed(made, "gpu1")
    assert host.events == events


@pytest.mark.parametrize(
    ("state", "another", "events"),
    [
        ("none", False, []),
        ("armed", False, ["disarm"]),
        ("booted", True, ["disarm"]),
        ("fell-back", False, ["disarm"]),
    ],
)
def test_whether_another_kernel_runs_is_returned_when_it_is_disarmed(
    tmp_path: Path, state: str, another: bool, events: list[str]
) -> None:
    made, host = host_in(tmp_path, script_in(state))
    assert disarmed(made, "gpu1") is another
    assert host.events == events


@pytest.mark.parametrize(
    ("act", "state", "what"),
    [
        (held, "none", "hold"),
        (arms, "none", "arm"),
        (committed, "booted", "commit"),
        (disarmed, "booted", "disarm"),
    ],
)
def test_a_command_that_fails_is_an_error_of_its_host(tmp_path: Path, act: object, state: str, what: str) -> None:
    made, host = host_in(tmp_path, script_in(state))
    host.fails = (what,)
    with pytest.raises(HostError, match=r"gpu1: .* failed with exit status 1\n    GRUB says no"):
        act(made, "gpu1")  # type: ignore[operator]
